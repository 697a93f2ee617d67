/* SPDX-License-Identifier: GPL-2.0-only */
/* Is there a way? Through the router, or past it within the subnet. */
#ifndef ROOKERY_ROUTE_H
#define ROOKERY_ROUTE_H

#include "stages/report.h"

static __always_inline bool is_for_router(const struct packet *packet, const struct interface_config *interface)
{
	return same_mac(packet->head.frame.h_dest, interface->router_mac);
}

/* Longest prefix. Only the router routes: a frame for anybody else needs none. */
static __always_inline enum verdict find_route(const struct packet *packet, const struct interface_config *interface)
{
	struct route_key key = { .prefix_length = ROUTE_TABLE_BITS + 8 * sizeof(struct address),
				 .table = interface->route_table, .destination = packet->destination };
	const struct route *route;

	if (!is_for_router(packet, interface))
		return CONTINUE;
	route = bpf_map_lookup_elem(&routes, &key);
	if (!route)
		return DROP_NO_ROUTE;
	tell(packet, STEP_ROUTE_FOUND, CONTINUE, route->kind);
	if (route->kind == ROUTE_BLACKHOLE)
		return DROP_BLACKHOLE;
	/* A kind of a newer version: refused, not guessed. */
	return route->kind == ROUTE_LOCAL ? CONTINUE : DROP_NO_ROUTE;
}

/* The IP address decides, never the frame's MAC: that may be older than the mapping. */
static __always_inline enum verdict check_subnet(const struct packet *packet, const struct interface_config *interface,
						 const struct mapping *mapping)
{
	if (is_for_router(packet, interface))
		return CONTINUE;
	if (mapping->subnet != interface->subnet)
		return DROP_WRONG_SUBNET;
	tell(packet, STEP_SAME_SUBNET, CONTINUE, 0);
	return CONTINUE;
}

#endif
