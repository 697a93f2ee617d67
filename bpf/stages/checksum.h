/* SPDX-License-Identifier: GPL-2.0-only */
/* How do checksums follow a change of what they cover? (RFC 1624: by the change alone.) */
#ifndef ROOKERY_CHECKSUM_H
#define ROOKERY_CHECKSUM_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/in.h>

#include "hull/checksum.h"

enum checksum_constant {
	TCP_CHECKSUM = 16,                 /* where it is in the header */
	UDP_CHECKSUM = 6,
	DCCP_CHECKSUM = 6,
};

/* Where the transport has a checksum that covers addresses; 0: nowhere. SCTP's does not cover them. */
static __always_inline __u32 checksum_place(__u8 protocol)
{
	if (protocol == IPPROTO_TCP)
		return TCP_CHECKSUM;
	if (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)
		return UDP_CHECKSUM;
	return protocol == IPPROTO_DCCP ? DCCP_CHECKSUM : 0;
}

/* Of a transport that begins at `transport`; UDP may have none. */
static __always_inline bool mend_transport(hull_t *hull, __u8 protocol, __u32 transport, __u32 difference)
{
	__u32 place = checksum_place(protocol);

	return !place || mend_in_place(hull, transport + place, difference, protocol == IPPROTO_UDP);
}

#endif
