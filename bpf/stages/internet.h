/* SPDX-License-Identifier: GPL-2.0-only */
/* Is this an address that the internet has? */
#ifndef ROOKERY_INTERNET_H
#define ROOKERY_INTERNET_H

#include "stages/unicast.h"

static __always_inline bool is_in(__u32 word, __u32 network, __u32 bits)
{
	return word >> (32 - bits) == network >> (32 - bits);
}

/* RFC 6890: this network, private use, shared address space, loopback. What is for documentation is as good as any other here. */
static __always_inline bool is_private_ipv4(__u32 word)
{
	return is_in(word, 0, 8) || is_in(word, 0x0a000000, 8) || is_in(word, 0x64400000, 10) ||
	       is_in(word, 0x7f000000, 8) || is_in(word, 0xac100000, 12) || is_in(word, 0xc0a80000, 16);
}

/* IPv6: what is global unicast by now (RFC 4291, 2.4; IANA has given out nothing but 2000::/3). IPv4: neither private nor link-local,
 * nor 224.0.0.0 and what is above. */
static __always_inline bool is_on_internet(const struct address *address)
{
	__u32 word = bpf_ntohl(address->word[3]);

	if (!is_ipv4(address))
		return is_in(bpf_ntohl(address->word[0]), 0x20000000, 3);
	return word < 0xe0000000 && !is_private_ipv4(word) && !is_link_local(address);
}

/* Of hosts and edges: nobody speaks from there to VPCs, or from VPCs to there. */
static __always_inline bool is_on_substrate(const struct address *address, const struct substrate_config *config)
{
	return is_ipv4(address) && (address->word[3] & config->netmask) == config->network;
}

#endif
