/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet leave this node? To a neighbour that is named by its address: the kernel finds the MAC, asks for one that it does not
 * know, and keeps the packet so long. */
#ifndef ROOKERY_DEPART_H
#define ROOKERY_DEPART_H

#include "stages/packet.h"

enum depart_constant {
	NEIGHBOUR_IPV4 = 2,                /* AF_INET */
};

/* Between whom a frame goes. */
struct wire_ends {
	__u8 to[ETH_ALEN];
	__u8 from[ETH_ALEN];
};

/* On the substrate. Its address is enough: no route of this node is asked. */
static __always_inline enum verdict meet(hull_t *hull, struct packet *packet, const struct substrate_config *config, __be32 neighbour)
{
	(void)hull, (void)config;
	packet->kept.departure.hop.nh_family = NEIGHBOUR_IPV4;
	packet->kept.departure.hop.ipv4_nh = neighbour;
	return CONTINUE;
}

/* The kernel keeps what it knows of its neighbours. */
static __always_inline bool meet_again(struct packet *packet, const struct wire_ends *ends)
{
	(void)packet, (void)ends;
	return false;
}

static __always_inline void keep_ends(const struct packet *packet, struct wire_ends *ends)
{
	(void)packet, (void)ends;
}

/* Outside: a router that the kernel's routes name. What must be cut is cut by the kernel, which sends it on itself. */
static __always_inline enum verdict meet_router(struct packet *packet, const struct bpf_fib_lookup *answer, bool known, bool too_large)
{
	struct bpf_redir_neigh *hop = &packet->kept.departure.hop;

	(void)known, (void)too_large;
	hop->nh_family = answer->family;
	__builtin_memcpy(hop->ipv6_nh, answer->ipv6_dst, sizeof(hop->ipv6_nh));
	return CONTINUE;
}

/* Into a header that is about to be written. */
static __always_inline void name_ends(struct ethhdr *ethernet, const struct packet *packet)
{
	(void)ethernet, (void)packet;      /* the kernel writes them */
}

/* ... into one that is there. */
static __always_inline bool write_ends(hull_t *hull, const struct packet *packet)
{
	(void)hull, (void)packet;
	return true;
}

static __always_inline void depart(hull_t *hull, struct packet *packet, __u32 ifindex)
{
	struct bpf_redir_neigh *hop = &packet->kept.departure.hop;

	(void)hull;
	packet->target = ifindex;
	packet->action = bpf_redirect_neigh(ifindex, hop, sizeof(*hop), 0);
}

/* ... to where the kernel's own routes lead. */
static __always_inline void depart_by_kernel(struct packet *packet, __u32 ifindex)
{
	packet->target = ifindex;
	packet->action = HULL_LEAVES;
}

/* To a device of this node's own. */
static __always_inline bool can_hand_over(void)
{
	return true;
}

#endif
