/* SPDX-License-Identifier: GPL-2.0-only */
/* What does an ICMP message say in the other family? (RFC 7915, 4.2 and 5.2) */
#ifndef ROOKERY_ICMP_ACROSS_H
#define ROOKERY_ICMP_ACROSS_H

#include "stages/packet.h"

enum icmp_across_constant {
	IPV6_MINIMUM_MTU = 1280,
	LARGER_BY = sizeof(struct ipv6_header) - sizeof(struct iphdr),   /* an IPv6 packet than the same in IPv4 */
	NOT_SAID = 0xff,                   /* as a pointer: the other family has no such field */
	ICMPV6_TIME_EXCEEDED = 3,
};

static __always_inline __u8 echo_type(bool asks, bool in_ipv6)
{
	if (in_ipv6)
		return asks ? ICMPV6_ECHO : ICMPV6_ECHO_REPLY;
	return asks ? ICMP_ECHO : ICMP_ECHOREPLY;
}

struct icmp_error {
	__u8 type;
	__u8 code;
	__u32 rest;                        /* MTU, or pointer */
};

/* RFC 1191, 7: where a router of old named no MTU, the next of those that paths have. */
static __always_inline __u32 plateau_below(__u32 bytes)
{
	if (bytes > 8166)
		return 8166;
	if (bytes > 4352)
		return 4352;
	if (bytes > 2002)
		return 2002;
	return bytes > 1492 ? 1492 : 0;
}

/* `bytes`: of the IPv4 packet that was too large. */
static __always_inline __u32 mtu_of_ipv6(__u32 mtu, __u32 bytes)
{
	__u32 larger = (mtu ? mtu : plateau_below(bytes)) + LARGER_BY;

	return larger < IPV6_MINIMUM_MTU ? IPV6_MINIMUM_MTU : larger;
}

static __always_inline __u32 mtu_of_ipv4(__u32 mtu)
{
	if (mtu > 0xffff)
		return 0xffff;
	return mtu > LARGER_BY ? mtu - LARGER_BY : 0;
}

/* Which byte of an IPv6 header says what this one of IPv4 says? */
static __always_inline __u32 pointer_in_ipv6(__u32 at)
{
	if (at < 2)
		return at;
	if (at < 4)
		return 4;
	if (at == 8)
		return 7;
	if (at == 9)
		return 6;
	if (at >= 12 && at < 16)
		return 8;
	return at >= 16 && at < 20 ? 24 : NOT_SAID;
}

static __always_inline __u32 pointer_in_ipv4(__u32 at)
{
	if (at < 2)
		return at;
	if (at == 4 || at == 5)
		return 2;
	if (at == 6)
		return 9;
	if (at == 7)
		return 8;
	if (at >= 8 && at < 24)
		return 12;
	return at >= 24 && at < 40 ? 16 : NOT_SAID;
}

/* Code of "unreachable" in IPv6; NOT_SAID: none. */
static __always_inline __u32 unreachable_in_ipv6(__u8 code)
{
	if (code == 3)
		return 4;                  /* port */
	if (code == 9 || code == 10 || code == 13 || code == 15)
		return 1;                  /* administratively prohibited */
	return code < 13 ? 0 : NOT_SAID;
}

static __always_inline __u32 unreachable_in_ipv4(__u8 code)
{
	if (code == 1)
		return 10;
	if (code == 4)
		return 3;
	return code < 4 ? 1 : NOT_SAID;
}

static __always_inline bool unreachable_to_ipv6(struct icmp_error *error, __u32 bytes)
{
	__u32 code = unreachable_in_ipv6(error->code);

	if (error->code == 2) {            /* protocol: the next header is not known */
		*error = (struct icmp_error){ ICMPV6_PARAMETER_PROBLEM, 1, offsetof(struct ipv6_header, next) };
		return true;
	}
	if (error->code == ICMP_FRAG_NEEDED) {
		*error = (struct icmp_error){ ICMPV6_TOO_BIG, 0, mtu_of_ipv6(error->rest & 0xffff, bytes) };
		return true;
	}
	*error = (struct icmp_error){ ICMPV6_UNREACHABLE, code, 0 };
	return code != NOT_SAID;
}

/* `rest` as it is in the message. `bytes`: as mtu_of_ipv6(). False: nothing that IPv6 would understand. */
static __always_inline bool error_to_ipv6(struct icmp_error *error, __u32 bytes)
{
	__u32 pointer = pointer_in_ipv6(error->rest >> 24);

	if (error->type == ICMP_DEST_UNREACH)
		return unreachable_to_ipv6(error, bytes);
	if (error->type == ICMP_TIME_EXCEEDED) {
		*error = (struct icmp_error){ ICMPV6_TIME_EXCEEDED, error->code, 0 };
		return true;
	}
	if (error->type != ICMP_PARAMETER_PROBLEM || error->code == 1 || error->code > 2 || pointer == NOT_SAID)
		return false;
	*error = (struct icmp_error){ ICMPV6_PARAMETER_PROBLEM, 0, pointer };
	return true;
}

static __always_inline bool parameter_to_ipv4(struct icmp_error *error)
{
	__u32 pointer = pointer_in_ipv4(error->rest);

	if (error->code == 1) {            /* the next header is not known: protocol unreachable */
		*error = (struct icmp_error){ ICMP_DEST_UNREACH, 2, 0 };
		return true;
	}
	if (error->code || pointer == NOT_SAID)
		return false;
	*error = (struct icmp_error){ ICMP_PARAMETER_PROBLEM, 0, pointer << 24 };
	return true;
}

static __always_inline bool error_to_ipv4(struct icmp_error *error)
{
	__u32 code;

	switch (error->type) {
	case ICMPV6_UNREACHABLE:
		code = unreachable_in_ipv4(error->code);
		*error = (struct icmp_error){ ICMP_DEST_UNREACH, code, 0 };
		return code != NOT_SAID;
	case ICMPV6_TOO_BIG:
		*error = (struct icmp_error){ ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu_of_ipv4(error->rest) };
		return true;
	case ICMPV6_TIME_EXCEEDED:
		*error = (struct icmp_error){ ICMP_TIME_EXCEEDED, error->code, 0 };
		return true;
	case ICMPV6_PARAMETER_PROBLEM:
		return parameter_to_ipv4(error);
	}
	return false;
}

#endif
