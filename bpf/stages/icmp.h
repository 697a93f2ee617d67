/* SPDX-License-Identifier: GPL-2.0-only */
/* How does ICMP look? (RFC 792; linux/icmp.h needs the C library.) */
#ifndef ROOKERY_ICMP_H
#define ROOKERY_ICMP_H

#include <linux/types.h>

enum icmp_type {
	ICMP_ECHOREPLY = 0,
	ICMP_DEST_UNREACH = 3,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12,
	ICMP_TIMESTAMP = 13,
	ICMP_TIMESTAMPREPLY = 14,
};

enum icmp_code {
	ICMP_FRAG_NEEDED = 4,
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 identifier;                 /* of an echo; 0 in an error */
	__be16 mtu;                        /* of "fragmentation needed" (RFC 1191) */
};

#endif
