/* SPDX-License-Identifier: GPL-2.0-only */
/* What would the kernel's own routes do with it? */
#ifndef ROOKERY_KERNEL_ROUTES_H
#define ROOKERY_KERNEL_ROUTES_H

#include "stages/parse.h"

enum kernel_routes_constant {
	FAMILY_IPV4 = 2,                   /* AF_INET */
	FAMILY_IPV6 = 10,                  /* AF_INET6 */
	ANY_SIZE_FITS = 1,                 /* the packet still is wrapped: sizes are looked at here, not by the kernel */
};

static __always_inline void ask_for_destination(struct bpf_fib_lookup *ask, const struct packet *packet)
{
	ask->l4_protocol = packet->protocol;
	ask->sport = packet->source_port;
	ask->dport = packet->destination_port;
	ask->tot_len = ANY_SIZE_FITS;
	if (is_ipv4(&packet->destination)) {
		ask->family = FAMILY_IPV4;
		ask->ipv4_src = packet->source.word[3];
		ask->ipv4_dst = packet->destination.word[3];
		return;
	}
	ask->family = FAMILY_IPV6;
	__builtin_memcpy(ask->ipv6_src, &packet->source, sizeof(struct address));
	__builtin_memcpy(ask->ipv6_dst, &packet->destination, sizeof(struct address));
}

/* As if it came in from the substrate, the only device for which the kernel forwards. */
static __always_inline long ask_kernel(hull_t *hull, const struct packet *packet, __u32 ifindex,
				       struct bpf_fib_lookup *answer)
{
	ask_for_destination(answer, packet);
	answer->ifindex = ifindex;
	return bpf_fib_lookup(hull, answer, sizeof(*answer), 0);
}

#endif
