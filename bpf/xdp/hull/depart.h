/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet leave this node? To a neighbour whose MAC the kernel knows; the kernel is asked before anything is changed, for nothing
 * can be asked of the neighbour here: TC gets a packet that would have to wait, or to be cut, as it came. */
#ifndef ROOKERY_DEPART_H
#define ROOKERY_DEPART_H

#include "stages/packet.h"

enum depart_constant {
	NEIGHBOUR_IPV4 = 2,                /* AF_INET */
	ANY_SIZE = 1,                      /* sizes are looked at by the stages */
};

/* Between whom a frame goes. */
struct wire_ends {
	__u8 to[ETH_ALEN];
	__u8 from[ETH_ALEN];
};

static __always_inline void take_ends(struct packet *packet, const struct bpf_fib_lookup *answer)
{
	struct departure *departure = &packet->kept.departure;

	__builtin_memcpy(departure->to, answer->dmac, ETH_ALEN);
	__builtin_memcpy(departure->from, answer->smac, ETH_ALEN);
}

/* Of the run that a CPU is busy with, as packet.h's scratch: a node asks below its deepest stages. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bpf_fib_lookup);
} scratch_neighbour SEC(".maps");

/* On the substrate. As if this node itself sent it over that device: only its own network lies there. */
static __always_inline enum verdict meet(hull_t *hull, struct packet *packet, const struct substrate_config *config, __be32 neighbour)
{
	const __u32 only = 0;
	struct bpf_fib_lookup *answer = bpf_map_lookup_elem(&scratch_neighbour, &only);

	if (!answer)
		return DEFERRED;
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->family = NEIGHBOUR_IPV4;
	answer->tot_len = ANY_SIZE;
	answer->ifindex = config->ifindex;
	answer->ipv4_src = config->address;
	answer->ipv4_dst = neighbour;
	if (bpf_fib_lookup(hull, answer, sizeof(*answer), BPF_FIB_LOOKUP_OUTPUT) != BPF_FIB_LKUP_RET_SUCCESS ||
	    answer->ifindex != config->ifindex)
		return DEFERRED;
	take_ends(packet, answer);
	return CONTINUE;
}

/* Whom the kernel named a moment ago. */
static __always_inline bool meet_again(struct packet *packet, const struct wire_ends *ends)
{
	const __u32 *word = (const __u32 *)ends;

	if (!(word[0] | word[1] | word[2]))
		return false;
	__builtin_memcpy(packet->kept.departure.to, ends, sizeof(*ends));
	return true;
}

static __always_inline void keep_ends(const struct packet *packet, struct wire_ends *ends)
{
	__builtin_memcpy(ends, packet->kept.departure.to, sizeof(*ends));
}

/* Outside: a router that the kernel's routes name. */
static __always_inline enum verdict meet_router(struct packet *packet, const struct bpf_fib_lookup *answer, bool known, bool too_large)
{
	if (!known || too_large)
		return DEFERRED;
	take_ends(packet, answer);
	return CONTINUE;
}

/* Into a header that is about to be written. */
static __always_inline void name_ends(struct ethhdr *ethernet, const struct packet *packet)
{
	__builtin_memcpy(ethernet->h_dest, packet->kept.departure.to, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, packet->kept.departure.from, ETH_ALEN);
}

/* ... into one that is there. */
static __always_inline bool write_ends(hull_t *hull, const struct packet *packet)
{
	return write_head(hull, packet->kept.departure.to, 2 * ETH_ALEN);
}

/* Back where it came from, too: a veth keeps what XDP_TX gives it until somebody polls, unless its peer has a program. */
static __always_inline void depart(hull_t *hull, struct packet *packet, __u32 ifindex)
{
	(void)hull;
	packet->target = ifindex;
	packet->action = bpf_redirect(ifindex, 0);
}

/* Never: it was deferred before. */
static __always_inline void depart_by_kernel(struct packet *packet, __u32 ifindex)
{
	(void)packet, (void)ifindex;
}

/* To a device of this node's own: a veth loses what XDP gives it unless somebody polls at its other end. */
static __always_inline bool can_hand_over(void)
{
	return false;
}

#endif
