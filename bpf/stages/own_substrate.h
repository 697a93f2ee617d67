/* SPDX-License-Identifier: GPL-2.0-only */
/* What from the substrate is for the edge itself, and no packet of the overlay? Its kernel gets that and nothing else, for it would
 * forward. */
#ifndef ROOKERY_OWN_SUBSTRATE_H
#define ROOKERY_OWN_SUBSTRATE_H

#include "stages/packet.h"

/* From the substrate, and not of the overlay: the mapping service, ARP. Never through to the outside. */
static __noinline enum verdict leave_substrate_to_kernel(hull_t *hull, const struct substrate_config *config)
{
	__u32 offset = ETH_HLEN + offsetof(struct iphdr, daddr);
	__be32 destination;

	if (!config || is_never_forwarded(hull))
		return NOT_OURS;
	if (protocol_of(hull) != bpf_htons(ETH_P_IP))          /* the substrate is IPv4 */
		return protocol_of(hull) == bpf_htons(ETH_P_IPV6) ? DROP_DESTINATION_NOT_HERE : NOT_OURS;
	if (load_bytes(hull, offset, &destination, sizeof(destination)))
		return DROP_TRUNCATED;
	return destination == config->address ? NOT_OURS : DROP_DESTINATION_NOT_HERE;
}

#endif
