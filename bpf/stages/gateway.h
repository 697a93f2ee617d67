/* SPDX-License-Identifier: GPL-2.0-only */
/* What leads out of a VPC, and into it? */
#ifndef ROOKERY_GATEWAY_H
#define ROOKERY_GATEWAY_H

#include "stages/packet.h"
#include "stages/tables.h"

/* An internet gateway is for both families, an egress-only one for IPv6. */
static __always_inline __u32 gateways_of(const struct address *address)
{
	return is_ipv4(address) ? GATEWAY_INTERNET : GATEWAY_INTERNET | GATEWAY_EGRESS_ONLY;
}

/* Of the packet's VPC, one of these kinds. */
static __always_inline const struct gateway *gateway_of(const struct packet *packet, __u32 kinds)
{
	const struct gateway *gateway = bpf_map_lookup_elem(&gateways, &packet->vni);

	return gateway && gateway->flags & kinds ? gateway : 0;
}

#endif
