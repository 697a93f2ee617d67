/* SPDX-License-Identifier: GPL-2.0-only */
/* What from outside is for the edge itself, and not for any VPC? Its kernel gets that and nothing else, for it would forward. */
#ifndef ROOKERY_OWN_UPLINK_H
#define ROOKERY_OWN_UPLINK_H

#include "stages/internet.h"
#include "stages/kernel_routes.h"

/* ARP, and whatever else is tagged or no IP, is the kernel's. */
static __always_inline bool carries_ip(hull_t *hull)
{
	return !is_tagged(hull) && (protocol_of(hull) == bpf_htons(ETH_P_IP) || protocol_of(hull) == bpf_htons(ETH_P_IPV6));
}

/* Of its own addresses the kernel says that it does not forward to them. */
static __always_inline bool is_own_address(hull_t *hull, const struct packet *packet,
					   const struct substrate_config *config)
{
	struct bpf_fib_lookup answer = {};

	return ask_kernel(hull, packet, config->ifindex, &answer) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* From outside: BGP, BFD, ping. Never through to the substrate. */
static __noinline enum verdict leave_uplink_to_kernel(hull_t *hull, const struct packet *packet,
						      const struct substrate_config *config)
{
	if (is_on_substrate(&packet->source, config))
		return DROP_PRIVATE_SOURCE;
	if (is_on_substrate(&packet->destination, config))
		return DROP_PRIVATE_DESTINATION;
	if (is_multicast(&packet->destination) || is_link_local(&packet->destination))
		return NOT_OURS;
	return is_own_address(hull, packet, config) ? NOT_OURS : DROP_UNKNOWN_PUBLIC_ADDRESS;
}

#endif
