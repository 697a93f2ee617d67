/* SPDX-License-Identifier: GPL-2.0-only */
/* What becomes of a checksum when what it covers changes? */
#ifndef ROOKERY_MEND_H
#define ROOKERY_MEND_H

#include "stages/ipv6.h"

/* What changes of a sum with one word of what it covers, added to what others change; as bpf_csum_diff() computes it, which is a call. */
static __always_inline __u32 word_difference(__be32 before, __be32 now, __u32 others)
{
	__u64 sum = (__u64)others + (__u32)~before + now;

	sum = (__u32)sum + (sum >> 32);
	return sum + (sum >> 32);
}

/* RFC 1624. `difference` as bpf_csum_diff() gives it. */
static __always_inline __u16 mend(__u16 checksum, __u32 difference)
{
	return fold((difference & 0xffff) + (difference >> 16) + (__u16)~checksum);
}

/* Of UDP, where zero says that there is none. */
static __always_inline __u16 mend_udp(__u16 checksum, __u32 difference)
{
	__u16 now = mend(checksum, difference);

	return now ? now : 0xffff;
}

#endif
