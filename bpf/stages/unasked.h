/* SPDX-License-Identifier: GPL-2.0-only */
/* Did nobody ask for what comes from outside? */
#ifndef ROOKERY_UNASKED_H
#define ROOKERY_UNASKED_H

#include "stages/gateway.h"
#include "stages/host_tables.h"
#include "stages/next_hop.h"

/* Of what comes from outside and belongs to no tracked flow: does the receiver's subnet answer through an egress-only gateway? Then
 * nobody there asked. */
static __noinline bool is_unasked(const struct packet *packet)
{
	const struct gateway *gateway = gateway_of(packet, GATEWAY_EGRESS_ONLY);
	const struct interface_config *interface;

	if (!gateway || is_ipv4(&packet->source))
		return false;
	interface = bpf_map_lookup_elem(&interfaces, &packet->ifindex);
	if (!interface || !(gateway->flags & GATEWAY_INTERNET))
		return true;
	return answers_egress_only(packet, interface->route_table);
}

#endif
