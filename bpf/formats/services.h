/* SPDX-License-Identifier: GPL-2.0-only */
/* How an instance's packet looks to the services of its host (addresses, names, metadata, time).
 *
 * They are ordinary sockets in a network namespace of their own, and all guests of a host reach the same few: the program on the
 * guest's device makes an IPv6 packet of what the guest sent, whatever family it was, and the source says who asks. So two
 * guests with one address differ, and the answer finds its way back without a memory of the question:
 *
 *   10.0.1.5 -> 169.254.169.254  becomes  fd52:401:eni-number:0:10.0.1.5 -> fd00:ec2::254, and back
 *
 * src/rookery/host/services/caller.py reads it. */
#ifndef ROOKERY_SERVICES_H
#define ROOKERY_SERVICES_H

#include "formats/maps.h"

enum service {                             /* the last group of its address, fd00:ec2::<this>, in hexadecimal */
	SERVICE_DHCP = 0x67,               /* ours alone: guests reach it at port 67 of their router and of everybody */
	SERVICE_TIME = 0x123,
	SERVICE_DNS = 0x253,
	SERVICE_METADATA = 0x254,
	SERVICE_DHCPV6 = 0x547,            /* ours alone: guests reach it at ff02::1:2 */
};

enum service_port {
	PORT_DNS = 53,
	PORT_DHCP = 67,
	PORT_DHCP_CLIENT = 68,
	PORT_METADATA = 80,
	PORT_TIME = 123,
	PORT_DHCPV6_CLIENT = 546,
	PORT_DHCPV6 = 547,
};

enum caller_source {
	CALLER_IPV4 = 4,                   /* the last four bytes are the guest's address */
	CALLER_IPV6 = 6,                   /* the last eight are, behind the first eight of the subnet's block */
	CALLER_LINK_LOCAL = 7,             /* ... behind fe80:: */
};

enum asked_at {                            /* where the guest sent it: the answer comes from there */
	ASKED_SERVICE = 1,                 /* 169.254.169.x, fd00:ec2::x, ff02::1:2 */
	ASKED_RESOLVER = 2,                /* the VPC's base + 2 */
	ASKED_ROUTER = 3,                  /* the subnet's .1 */
	ASKED_EVERYBODY = 4,               /* 255.255.255.255; the answer comes from the router */
};

enum caller_constant {
	CALLER_PREFIX = 0xfd52,            /* unique local (RFC 4193); 'R' */
};

/* An IPv6 address. */
struct caller {
	__be16 prefix;                     /* CALLER_PREFIX */
	__u8 source;                       /* enum caller_source */
	__u8 asked;                        /* enum asked_at */
	__be32 interface;                  /* its number */
	__u8 identifier[8];                /* by source */
};
_Static_assert(sizeof(struct caller) == sizeof(struct address), "an address");

enum service_limit {
	SERVICE_PACKETS = 1024,            /* of one interface in a second, to all services together */
};

/* `services`: one row, key 0: the device that leads to them. 0: there is none. */
struct services_config {
	__u32 ifindex;                     /* the host's side */
	__u8 mac[6];                       /* of the services' side */
	__u8 host_mac[6];
};
_Static_assert(sizeof(struct services_config) == 16, "shared format");

/* `service_budgets`: number of an interface -> what it sent to services in this second. The programs count; the agent makes a
 * row when an interface comes and deletes it when it goes. */
struct service_budget {
	__u64 second_and_packets;          /* CLOCK_MONOTONIC seconds in the high half, packets in the low one: one atomic word */
};
_Static_assert(sizeof(struct service_budget) == 8, "shared format");

#endif
