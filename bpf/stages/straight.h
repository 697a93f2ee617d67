/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the substrate's switch know the port of whom a frame is for? Then the frame goes into that member's namespace at once: the bridge, and a
 * second wait in the processor's backlog, are spared. All else is the bridge's. */
#ifndef ROOKERY_STRAIGHT_H
#define ROOKERY_STRAIGHT_H

#include "stages/packet.h"

/* Of a kind for which the kernel itself takes out a device that goes (dev_map_notification): whoever gets its number later is sent nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MEMBERS_MAX);
	__type(key, __be32);
	__type(value, __u32);
} ports SEC(".maps");

static __always_inline int go_straight(struct __sk_buff *skb, const __u8 *destination)
{
	__u32 *port, mtu = 0;
	__be32 member;

	if (((destination[0] << 8) | destination[1]) != MEMBER_MAC)
		return TC_ACT_UNSPEC;
	__builtin_memcpy(&member, destination + 2, sizeof(member));
	port = bpf_map_lookup_elem(&ports, &member);
	if (!port || *port == skb->ifindex)    /* no switch sends a frame back to where it came from */
		return TC_ACT_UNSPEC;
	/* Nothing asks behind a redirection; the bridge does, of everything but super-packets, as this helper. */
	if (bpf_check_mtu(skb, *port, &mtu, 0, 0))
		return TC_ACT_UNSPEC;
	return bpf_redirect_peer(*port, 0);
}

#endif
