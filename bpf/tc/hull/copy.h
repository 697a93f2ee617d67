/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a copy of a packet leave while the packet itself goes on? */
#ifndef ROOKERY_COPY_H
#define ROOKERY_COPY_H

#include "hull/depart.h"

static __always_inline bool can_copy(void)
{
	return true;
}

/* A copy goes out by the frame's own addresses, and not by the kernel's neighbours: they are asked first. */
static __always_inline bool name_neighbour(hull_t *hull, const struct packet *packet, const struct substrate_config *config)
{
	bool near = (packet->outer_destination & config->netmask) == config->network;
	struct bpf_fib_lookup way = { .family = NEIGHBOUR_IPV4, .ifindex = config->ifindex, .ipv4_src = config->address,
				      .ipv4_dst = near ? packet->outer_destination : config->gateway };
	struct { __u8 to[ETH_ALEN], from[ETH_ALEN]; } ends;

	if (bpf_fib_lookup(hull, &way, sizeof(way), BPF_FIB_LOOKUP_OUTPUT) != BPF_FIB_LKUP_RET_SUCCESS)
		return false;
	__builtin_memcpy(ends.to, way.dmac, ETH_ALEN);
	__builtin_memcpy(ends.from, way.smac, ETH_ALEN);
	return !store_bytes(hull, 0, &ends, sizeof(ends));
}

/* To `packet->outer_destination`. */
static __always_inline bool send_copy(hull_t *hull, const struct packet *packet, const struct substrate_config *config)
{
	return name_neighbour(hull, packet, config) && !bpf_clone_redirect(hull, config->ifindex, 0);
}

#endif
