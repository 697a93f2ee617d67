/* SPDX-License-Identifier: GPL-2.0-only */
/* Does it come from outside? Only an edge speaks for the internet, and only for what the VPC does not have itself. */
#ifndef ROOKERY_FROM_EDGE_H
#define ROOKERY_FROM_EDGE_H

#include "stages/gateway.h"
#include "stages/host_tables.h"
#include "stages/internet.h"
#include "stages/next_hop.h"
#include "stages/verify.h"

static __always_inline bool is_edge(__be32 address)
{
	return bpf_map_lookup_elem(&edge_nodes, &address);
}

/* A host that may speak for the internet could still not speak for an instance. */
static __noinline enum verdict verify_edge(struct packet *packet)
{
	if (!is_edge(packet->outer_source))
		return DROP_NOT_AN_EDGE;
	if (packet->origin_vni != packet->vni)
		return DROP_NOT_PEERED;
	if (!gateway_of(packet, gateways_of(&packet->source)))
		return DROP_NO_GATEWAY;
	if (!is_on_internet(&packet->source) || mapping_of(packet->vni, &packet->source))
		return DROP_PRIVATE_SOURCE;
	packet->from_outside = true;
	tell(packet, STEP_FROM_EDGE, CONTINUE, 0);
	return CONTINUE;
}

/* Nobody outside has an interface, hence no group, no subnet and no MAC. */
static __always_inline enum verdict verify_source(struct packet *packet, struct sender *sender)
{
	return packet->origin_interface ? verify_interface(packet, sender) : verify_edge(packet);
}

#endif
