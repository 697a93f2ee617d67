/* SPDX-License-Identifier: GPL-2.0-only */
/* Which edge leads the packet out of the VPC? Any can: they know nothing of flows. */
#ifndef ROOKERY_TO_EDGE_H
#define ROOKERY_TO_EDGE_H

#include "stages/flow.h"
#include "stages/gateway.h"
#include "stages/host_tables.h"
#include "stages/next_hop.h"

/* A flow stays with its edge while the same ones live, so that its packets do not overtake each other. */
static __always_inline __be32 choose_edge(const struct packet *packet)
{
	const __u32 only = 0;
	const struct edge_set *set = bpf_map_lookup_elem(&edges, &only);
	__u32 place;

	if (!set || !set->living || set->living > EDGES_MAX)
		return 0;
	place = (flow_hash(packet) >> 16) * set->living >> 16;
	/* Clang knows that this is below EDGES_MAX; the verifier of Linux 6.1 does not. */
	asm volatile("" : "+r"(place));
	return set->address[place & (EDGES_MAX - 1)];
}

/* The frame stays as the guest addressed it: to the router. */
static __noinline enum verdict to_edge(struct packet *packet, __u32 kind, struct next_hop *hop)
{
	if (!gateway_of(packet, kind == ROUTE_INTERNET ? GATEWAY_INTERNET : GATEWAY_EGRESS_ONLY))
		return DROP_NO_GATEWAY;
	packet->outer_destination = choose_edge(packet);
	if (!packet->outer_destination)
		return DROP_NO_EDGE;
	packet->leads_out = kind;
	tell(packet, STEP_EDGE_CHOSEN, CONTINUE, 0);
	hop->host = packet->outer_destination;
	hop->vni = packet->vni;
	hop->subnet = 0;
	hop->group_set = 0;
	__builtin_memcpy(hop->mac, packet->head.frame.h_dest, ETH_ALEN);
	return CONTINUE;
}

#endif
