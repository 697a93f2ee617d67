/* SPDX-License-Identifier: GPL-2.0-only */
/* Which router outside gets it? The kernel knows, from what its neighbours announce. */
#ifndef ROOKERY_WAY_OUT_H
#define ROOKERY_WAY_OUT_H

#include "stages/kernel_routes.h"
#include "stages/uplink.h"

static __always_inline void read_neighbour(const struct bpf_fib_lookup *answer, struct bpf_redir_neigh *neighbour)
{
	neighbour->nh_family = answer->family;
	__builtin_memcpy(neighbour->ipv6_nh, answer->ipv6_dst, sizeof(neighbour->ipv6_nh));
}

/* A neighbour whose MAC is not known yet is asked for it by the kernel, which keeps the packet so long. */
static __noinline enum verdict find_way_out(struct __sk_buff *skb, const struct packet *packet,
					    const struct uplink_config *uplink, struct bpf_redir_neigh *neighbour)
{
	struct bpf_fib_lookup answer = {};
	long result = ask_kernel(skb, packet, skb->ifindex, &answer);

	if ((result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH) || answer.ifindex != uplink->ifindex)
		return DROP_NO_ROUTE;
	read_neighbour(&answer, neighbour);
	return packet->largest > uplink->mtu && packet->dont_fragment ? DROP_TOO_BIG : CONTINUE;
}

#endif
