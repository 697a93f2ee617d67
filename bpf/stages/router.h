/* SPDX-License-Identifier: GPL-2.0-only */
/* Which IPv6 addresses has a subnet's router? */
#ifndef ROOKERY_ROUTER_H
#define ROOKERY_ROUTER_H

#include "stages/interface.h"

/* Where router advertisements come from, and routes of guests lead. */
static __always_inline struct address link_local_router(void)
{
	return (struct address){ .word = { bpf_htonl(0xfe800ec2), 0, 0, bpf_htonl(1) } };
}

/* RFC 4291, appendix A. */
static __always_inline struct address link_local_of(const __u8 *mac)
{
	return (struct address){ .word = { bpf_htonl(0xfe800000), 0,
					   bpf_htonl((mac[0] ^ 2u) << 24 | mac[1] << 16 | mac[2] << 8 | 0xff),
					   bpf_htonl(0xfeu << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]) } };
}

static __always_inline bool is_router(const struct interface_config *interface, const struct address *address)
{
	const struct address always = link_local_router(), made = link_local_of(interface->router_mac);

	return same_address(address, &interface->router_ipv6) || same_address(address, &always) ||
	       same_address(address, &made);
}

#endif
