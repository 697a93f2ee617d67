/* SPDX-License-Identifier: GPL-2.0-only */
/* What leads out of VPCs, and back in: what hosts know of the edges, and edges of public addresses (Blackfoot). */
#ifndef ROOKERY_EDGE_H
#define ROOKERY_EDGE_H

#include "formats/maps.h"

enum edge_constant {
	EDGES_MAX = 16,
	INTERNET_MTU = 1500,               /* largest IP packet that leaves through an internet gateway */
};

/* `edges`: one row, key 0: to which of them a host sends, by a flow's hash. Any edge can handle any packet. */
struct edge_set {
	__u32 living;                      /* how many; 0: nobody leads out */
	__be32 address[EDGES_MAX];         /* substrate addresses */
};
_Static_assert(sizeof(struct edge_set) == 68, "shared format");

/* `edge_nodes`: substrate address -> an edge of this region, living or not: it may speak for the internet. */
struct edge_node {
	__u32 admitted;                    /* 1 */
};
_Static_assert(sizeof(struct edge_node) == 4, "shared format");

enum gateway_flag {
	GATEWAY_INTERNET = 1,              /* an internet gateway is attached */
	GATEWAY_EGRESS_ONLY = 2,           /* an egress-only internet gateway is: IPv6, and nothing comes in unasked */
};

/* `gateways`: VPC -> what leads out of it. */
struct gateway {
	__u32 flags;                       /* enum gateway_flag */
	__u32 route_table;                 /* of the internet gateway: for what comes in; 0: none */
};
_Static_assert(sizeof(struct gateway) == 8, "shared format");

/* `publics`, on edges: public IPv4 address -> the interface that has it. */
struct public_key {
	struct address address;
};
_Static_assert(sizeof(struct public_key) == 16, "shared format");

struct public {
	__u32 vni;
	__u32 interface;
	struct address private;
};
_Static_assert(sizeof(struct public) == 24, "shared format");

/* `translations`, on edges: (VPC, private address), a mapping_key -> its public address. */
struct translation {
	struct address public;
	__u32 interface;
};
_Static_assert(sizeof(struct translation) == 20, "shared format");

/* `blocks`, on edges: IPv6 block of a VPC with a gateway -> that VPC. Longest prefix match. */
struct block_key {
	__u32 prefix_length;
	struct address address;
};
_Static_assert(sizeof(struct block_key) == 20, "shared format");

struct block {
	__u32 vni;
};
_Static_assert(sizeof(struct block) == 4, "shared format");

enum uplink_flag {
	UPLINK_CLOSING = 1,                /* probes go unanswered, so that hosts turn to other edges; packets go on */
	UPLINK_FILLED = 2,                 /* the tables have held an intent: for the next agent */
};

/* `uplink`, on edges: one row, key 0. */
struct uplink_config {
	__u32 ifindex;                     /* 0: not configured */
	__u32 mtu;                         /* largest IP packet */
	__u8 mac[6];
	__u16 flags;                       /* enum uplink_flag */
};
_Static_assert(sizeof(struct uplink_config) == 16, "shared format");

#endif
