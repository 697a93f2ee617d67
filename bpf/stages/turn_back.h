/* SPDX-License-Identifier: GPL-2.0-only */
/* A public address of this very region was meant: how does the packet get there without ever leaving? */
#ifndef ROOKERY_TURN_BACK_H
#define ROOKERY_TURN_BACK_H

#include "stages/decapsulate.h"
#include "stages/readdress.h"
#include "stages/way_in.h"
#include "stages/wrap.h"

/* In place: what is unwrapped and wrapped anew is, to the kernel, a tunnel in a tunnel. */
static __always_inline bool make_room(struct __sk_buff *skb, const struct packet *packet)
{
	__s32 more = (__s32)OUTER_HEAD - (__s32)packet->offset;

	return !more || !bpf_skb_adjust_room(skb, more, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* From the source's public address to the destination's private one: translated as if it had been outside. */
static __noinline enum verdict turn_back(struct __sk_buff *skb, struct packet *packet, const struct substrate_config *config)
{
	__u32 left = packet->origin_vni;
	struct next_hop hop = {};
	enum verdict verdict;

	if ((verdict = find_way_in(packet, config, &hop)))
		return verdict;
	if (!has_way(packet, config))
		return DROP_NOT_CONFIGURED;
	if ((verdict = readdress(skb, packet, left, packet->vni)))
		return verdict;
	return make_room(skb, packet) ? wrap(skb, packet, &hop, config) : DROP_ENCAPSULATION;
}

#endif
