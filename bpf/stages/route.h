/* SPDX-License-Identifier: GPL-2.0-only */
/* Where does the packet go next? Through the router, or past it within the subnet. */
#ifndef ROOKERY_ROUTE_H
#define ROOKERY_ROUTE_H

#include "stages/mapping.h"

/* An interface: of whoever has the destination's address, or the one to which a route leads. */
struct next_hop {
	__be32 host;
	__u32 vni;                         /* the VPC in which it lives: a peer's, perhaps */
	__u32 subnet;
	__u64 group_set;                   /* of the destination; 0: not known here */
	__u8 mac[6];
};

static __always_inline bool is_for_router(const struct packet *packet, const struct interface_config *interface)
{
	return same_mac(packet->head.frame.h_dest, interface->router_mac);
}

static __always_inline enum verdict to_owner(struct packet *packet, __u32 vni, struct next_hop *hop)
{
	const struct mapping *mapping = mapping_of(vni, &packet->destination);

	if (!mapping)
		return DROP_NO_MAPPING;
	packet->outer_destination = mapping->host;
	tell(packet, STEP_MAPPING_FOUND, CONTINUE, mapping->generation);
	hop->host = mapping->host;
	hop->vni = vni;
	hop->subnet = mapping->subnet;
	hop->group_set = mapping->group_set;
	__builtin_memcpy(hop->mac, mapping->mac, ETH_ALEN);
	return CONTINUE;
}

/* An appliance. Whose groups the destination has does not matter: it is another interface that gets the packet. */
static __always_inline enum verdict to_forwarder(struct packet *packet, __u32 number, struct next_hop *hop)
{
	const struct forwarder *forwarder = forwarder_of(packet->vni, number);

	if (!forwarder)
		return DROP_NO_FORWARDER;
	packet->outer_destination = forwarder->host;
	packet->led_to = number;
	tell(packet, STEP_FORWARDER_FOUND, CONTINUE, number);
	hop->host = forwarder->host;
	hop->vni = packet->vni;
	hop->subnet = forwarder->subnet;
	__builtin_memcpy(hop->mac, forwarder->mac, ETH_ALEN);
	return CONTINUE;
}

/* No transit: only the peer's own addresses are looked up there, and never its routes. */
static __always_inline enum verdict to_peer(struct packet *packet, __u32 peer, struct next_hop *hop)
{
	tell(packet, STEP_PEER_FOUND, CONTINUE, peer);
	return to_owner(packet, peer, hop);
}

static __always_inline const struct route *longest_route(const struct packet *packet,
							 const struct interface_config *interface)
{
	struct route_key key = { .prefix_length = ROUTE_TABLE_BITS + 8 * sizeof(struct address),
				 .table = interface->route_table, .destination = packet->destination };

	return bpf_map_lookup_elem(&routes, &key);
}

static __always_inline enum verdict find_route(struct packet *packet, const struct interface_config *interface,
					       struct next_hop *hop)
{
	const struct route *route = longest_route(packet, interface);

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
