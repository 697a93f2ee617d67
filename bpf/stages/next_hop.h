/* SPDX-License-Identifier: GPL-2.0-only */
/* Who gets the packet next, and where does that one live? */
#ifndef ROOKERY_NEXT_HOP_H
#define ROOKERY_NEXT_HOP_H

#include "stages/mapping.h"
#include "stages/tops.h"

/* An interface: of whoever has the destination's address, or the one to which a route leads. Or an edge. */
struct next_hop {
	__be32 host;
	__u32 vni;                         /* the VPC in which it lives: a peer's, perhaps */
	__u32 subnet;                      /* 0: none, of an edge */
	__u64 group_set;                   /* of the destination; 0: not known here */
	__u8 mac[6];
};

/* Of all that live at a cell endpoints alone speak for nobody else. */
static __always_inline bool is_endpoint(const struct mapping *mapping)
{
	return mapping->flags & INTERFACE_AT_CELL && mapping->flags & INTERFACE_SOURCE_DEST_CHECK;
}

static __always_inline enum verdict to_owner(struct packet *packet, __u32 vni, struct next_hop *hop)
{
	const struct mapping *mapping = mapping_of(vni, &packet->destination);
	enum verdict verdict;

	if (!mapping)
		return DROP_NO_MAPPING;
	packet->outer_destination = mapping->host;
	if (mapping->flags & INTERFACE_AT_CELL && (verdict = find_top(packet, mapping->host)))
		return verdict;
	packet->to_endpoint = is_endpoint(mapping);
	tell(packet, STEP_MAPPING_FOUND, CONTINUE, mapping->generation);
	hop->host = packet->outer_destination;
	hop->vni = vni;
	hop->subnet = mapping->subnet;
	hop->group_set = mapping->group_set;
	__builtin_memcpy(hop->mac, mapping->mac, ETH_ALEN);
	return CONTINUE;
}

/* An appliance, or an interface at a cell. Whose groups the destination has does not matter: it is another interface that gets the packet. */
static __always_inline enum verdict to_forwarder(struct packet *packet, __u32 number, struct next_hop *hop)
{
	const struct forwarder *forwarder = forwarder_of(packet->vni, number);
	enum verdict verdict;

	if (!forwarder)
		return DROP_NO_FORWARDER;
	packet->outer_destination = forwarder->host;
	packet->led_to = number;
	if (forwarder->flags & INTERFACE_AT_CELL && (verdict = find_top(packet, forwarder->host)))
		return verdict;
	tell(packet, STEP_FORWARDER_FOUND, CONTINUE, number);
	hop->host = packet->outer_destination;
	hop->vni = packet->vni;
	hop->subnet = forwarder->subnet;
	__builtin_memcpy(hop->mac, forwarder->mac, ETH_ALEN);
	return CONTINUE;
}

static __always_inline const struct route *longest_route(__u32 table, const struct address *destination)
{
	struct route_key key = { .prefix_length = ROUTE_TABLE_BITS + 8 * sizeof(struct address), .table = table,
				 .destination = *destination };

	return bpf_map_lookup_elem(&routes, &key);
}

/* Is the way back of what comes from outside one by which nobody comes in? */
static __always_inline bool answers_egress_only(const struct packet *packet, __u32 route_table)
{
	const struct route *way_back = longest_route(route_table, &packet->source);

	return way_back && way_back->kind == ROUTE_EGRESS_ONLY;
}

#endif
