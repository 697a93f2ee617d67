/* SPDX-License-Identifier: GPL-2.0-only */
/* Who speaks on this device? */
#ifndef ROOKERY_INTERFACE_H
#define ROOKERY_INTERFACE_H

#include "stages/host_tables.h"
#include "stages/packet.h"

static __always_inline enum verdict find_interface(struct packet *packet, const struct interface_config **found)
{
	*found = bpf_map_lookup_elem(&interfaces, &packet->ifindex);
	if (!*found)
		return DROP_NOT_CONFIGURED;
	packet->vni = (*found)->vni;
	packet->origin_vni = (*found)->vni;
	packet->origin_interface = (*found)->interface;
	return CONTINUE;
}

static __always_inline bool has_ipv6(const struct interface_config *interface)
{
	return interface->router_ipv6.word[0];
}

/* The source check may be off: a subnet without IPv6 carries none all the same. */
static __always_inline enum verdict refuse_family(const struct packet *packet, const struct interface_config *interface)
{
	return is_ipv4(&packet->source) || has_ipv6(interface) ? CONTINUE : DROP_NO_ROUTE;
}

#endif
