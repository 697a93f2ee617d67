/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent and the programs of a host share through maps. Python's side (src/rookery/dataplane/formats.py)
 * is generated from the object's BTF. Numbers are in host byte order unless the type says __be. */
#ifndef ROOKERY_MAPS_H
#define ROOKERY_MAPS_H

/* One form for both families, so that no stage has a twin: IPv4 is ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct address {
	__be32 word[4];
};
_Static_assert(sizeof(struct address) == 16, "shared format");

enum interface_flag {
	INTERFACE_SOURCE_DEST_CHECK = 1,   /* refuse sources that the mapping does not give to this interface */
	INTERFACE_NO_PEER = 2,             /* a tap, not a veth: the guest has no device in a namespace */
};

/* `interfaces`: device of an instance, as the host sees it (ifindex) -> who speaks there. */
struct interface_config {
	__u32 vni;                         /* the VPC */
	__u32 interface;                   /* number of the network interface */
	__u32 subnet;                      /* number of its subnet */
	__u32 route_table;                 /* number of the subnet's effective route table */
	struct address router;             /* the subnet's .1 */
	struct address primary;            /* primary private address: fixed for life, so checked without a lookup */
	__u8 mac[6];
	__u8 router_mac[6];
	__u16 mtu;                         /* largest inner IP packet */
	__u16 flags;                       /* enum interface_flag */
};
_Static_assert(sizeof(struct interface_config) == 64, "shared format");

enum mapping_kind {
	MAPPING_INTERFACE = 1,             /* a network interface on one host */
};

/* `mappings`: (VPC, address) -> where it lives. */
struct mapping_key {
	__u32 vni;
	struct address address;
};
_Static_assert(sizeof(struct mapping_key) == 20, "shared format");

struct mapping {
	__be32 host;                       /* substrate address; the substrate may stay IPv4 */
	__u32 interface;
	__u32 subnet;
	__u8 mac[6];
	__u8 kind;                         /* enum mapping_kind */
	__u8 flags;                        /* enum interface_flag of the interface it leads to */
	__u32 issued;                      /* unix time, seconds, when this generation was issued */
	__u64 generation;                  /* store revision that made it so */
};
_Static_assert(sizeof(struct mapping) == 32, "shared format");

/* `local_interfaces`: an interface that lives on this host -> its device. */
struct local_interface_key {
	__u32 vni;
	__u32 interface;
};
_Static_assert(sizeof(struct local_interface_key) == 8, "shared format");

struct local_interface {
	__u32 ifindex;
	__u16 mtu;
	__u16 flags;                       /* enum interface_flag */
	__u8 mac[6];
	__u8 router_mac[6];
	__u32 subnet;
};
_Static_assert(sizeof(struct local_interface) == 24, "shared format");

enum route_kind {
	ROUTE_LOCAL = 1,
	ROUTE_BLACKHOLE = 2,
};

enum route_constant {
	ROUTE_TABLE_BITS = 32,             /* the table's number is a prefix that must match whole */
	ROUTE_IPV4_BITS = 96,              /* ... and ::ffff:0:0/96 in front of an IPv4 destination */
};

/* `routes`: longest prefix match. */
struct route_key {
	__u32 prefix_length;               /* bits, table number included */
	__u32 table;
	struct address destination;
};
_Static_assert(sizeof(struct route_key) == 24, "shared format");

struct route {
	__u32 kind;                        /* enum route_kind */
	__u32 target;                      /* by kind; 0 for local and blackhole */
};
_Static_assert(sizeof(struct route) == 8, "shared format");

/* `substrate`: one row, key 0. A zero address means: not configured. */
struct substrate_config {
	__be32 address;                    /* of this host */
	__be32 network;
	__be32 netmask;
	__be32 gateway;                    /* for hosts outside the network; 0: there are none */
	__u32 ifindex;
	__u32 mtu;                         /* largest outer IP packet */
};
_Static_assert(sizeof(struct substrate_config) == 24, "shared format");

/* `counters`: per device and verdict, on every CPU. */
struct counter_key {
	__u32 ifindex;                     /* the instance's device, or the substrate's before the instance is known */
	__u32 verdict;                     /* enum verdict */
};
_Static_assert(sizeof(struct counter_key) == 8, "shared format");

struct traffic {
	__u64 packets;                     /* segments, not super-packets */
	__u64 bytes;
};
_Static_assert(sizeof(struct traffic) == 16, "shared format");

enum busy_constant {
	BUSY_DEVICES = 1024,
	BUSY_VERDICTS = 4,                 /* those below: SENT, DELIVERED and ANSWERED */
};

/* `busy_counters`: what every packet counts, found without a search. Row: device modulo BUSY_DEVICES, times BUSY_VERDICTS,
 * plus verdict. The agent gives a row to one device; who has none is counted in `counters`. */
struct busy_counter {
	__u32 ifindex;                     /* 0: nobody's */
	__u32 padding;
	__u64 packets;                     /* as in struct traffic */
	__u64 bytes;
};
_Static_assert(sizeof(struct busy_counter) == 24, "shared format");

/* `port`: one row, key 0: who may speak on a port of the substrate's switch (one machine; elsewhere the real switch does it). */
struct substrate_port {
	__be32 address;
	__u8 mac[6];
	__u16 padding;
	__u32 ifindex;                     /* of the port, to notice a cable that was plugged anew */
	__u64 refused_packets;
	__u64 refused_bytes;
};
_Static_assert(sizeof(struct substrate_port) == 32, "shared format");

#endif
