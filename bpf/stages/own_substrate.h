/* SPDX-License-Identifier: GPL-2.0-only */
/* What from the substrate is for the edge itself, and no packet of the overlay? Its kernel gets that and nothing else, for it would
 * forward. */
#ifndef ROOKERY_OWN_SUBSTRATE_H
#define ROOKERY_OWN_SUBSTRATE_H

#include "stages/packet.h"

enum own_substrate_constant {
	FOR_THIS_NODE = 0,                 /* PACKET_HOST (linux/if_packet.h) */
};

/* From the substrate, and not of the overlay: the mapping service, ARP. Never through to the outside. */
static __noinline enum verdict leave_substrate_to_kernel(struct __sk_buff *skb, const struct substrate_config *config)
{
	__u32 offset = ETH_HLEN + offsetof(struct iphdr, daddr);
	__be32 destination;

	if (!config || skb->pkt_type != FOR_THIS_NODE)
		return NOT_OURS;
	if (skb->protocol != bpf_htons(ETH_P_IP))          /* the substrate is IPv4 */
		return skb->protocol == bpf_htons(ETH_P_IPV6) ? DROP_DESTINATION_NOT_HERE : NOT_OURS;
	if (bpf_skb_load_bytes(skb, offset, &destination, sizeof(destination)))
		return DROP_TRUNCATED;
	return destination == config->address ? NOT_OURS : DROP_DESTINATION_NOT_HERE;
}

#endif
