/* SPDX-License-Identifier: GPL-2.0-only */
/* Where does the packet go next? Through the router, or past it within the subnet. */
#ifndef ROOKERY_ROUTE_H
#define ROOKERY_ROUTE_H

#include "stages/next_hop.h"
#include "stages/to_edge.h"

static __always_inline bool is_for_router(const struct packet *packet, const struct interface_config *interface)
{
	return same_mac(packet->head.frame.h_dest, interface->router_mac);
}

/* No transit: only the peer's own addresses are looked up there, and never its routes. */
static __always_inline enum verdict to_peer(struct packet *packet, __u32 peer, struct next_hop *hop)
{
	tell(packet, STEP_PEER_FOUND, CONTINUE, peer);
	return to_owner(packet, peer, hop);
}

static __always_inline enum verdict find_route(struct packet *packet, const struct interface_config *interface,
					       struct next_hop *hop)
{
	const struct route *route = longest_route(interface->route_table, &packet->destination);

	if (!route || route->kind == ROUTE_NONE)
		return DROP_NO_ROUTE;
	tell(packet, STEP_ROUTE_FOUND, CONTINUE, route->kind);
	switch (route->kind) {
	case ROUTE_LOCAL:
		return to_owner(packet, packet->vni, hop);
	case ROUTE_INTERFACE:
		return to_forwarder(packet, route->target, hop);
	case ROUTE_PEER:
		return to_peer(packet, route->target, hop);
	case ROUTE_BLACKHOLE:
		return DROP_BLACKHOLE;
	case ROUTE_INTERNET:
	case ROUTE_EGRESS_ONLY:
		return to_edge(packet, route->kind, hop);
	}
	return DROP_NO_ROUTE;              /* a kind of a newer version: refused, not guessed */
}

/* The IP address decides, never the frame's MAC: that may be older than the mapping. */
static __always_inline enum verdict find_neighbour(struct packet *packet, const struct interface_config *interface,
						   struct next_hop *hop)
{
	enum verdict verdict;

	if ((verdict = to_owner(packet, packet->vni, hop)))
		return verdict;
	if (hop->subnet != interface->subnet)
		return DROP_WRONG_SUBNET;
	tell(packet, STEP_SAME_SUBNET, CONTINUE, 0);
	return CONTINUE;
}

/* Only the router routes: a frame for anybody else stays in the subnet. */
static __always_inline enum verdict find_next_hop(struct packet *packet, const struct interface_config *interface,
						  struct next_hop *hop)
{
	return is_for_router(packet, interface) ? find_route(packet, interface, hop) :
						  find_neighbour(packet, interface, hop);
}

/* To a peer's VPC there always is a border. */
static __always_inline bool leaves_subnet(const struct interface_config *interface, const struct next_hop *hop)
{
	return hop->subnet != interface->subnet || hop->vni != interface->vni;
}

#endif
