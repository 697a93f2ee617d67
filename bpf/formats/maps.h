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
	INTERFACE_AT_CELL = 4,             /* lives at a cell: `host` is the number of a set of nodes in `tops`, not an address */
};

enum direction {
	EGRESS = 1,                        /* seen from the instance */
	INGRESS = 2,
};

/* What an interface admits. A list of rules is named by its content: other rules are another list, and an interface goes
 * from one to the next in one step. 0: nobody said anything, so nothing passes. */
struct gates {
	__u64 policy;                      /* list of the security groups' rules */
	__u64 acl;                         /* list of the subnet's network ACL */
	__u32 tcp_established;             /* seconds after which an idle flow is forgotten */
	__u32 udp_stream;
	__u32 udp;
	__u8 open_egress;                  /* enum open_family: the ACL admits the whole family that way, so only a trace asks it */
	__u8 open_ingress;
	__u16 padding;
};
_Static_assert(sizeof(struct gates) == 32, "shared format");

/* `interfaces`: device of an instance, as the host sees it (ifindex) -> who speaks there. */
struct interface_config {
	__u32 vni;                         /* the VPC */
	__u32 interface;                   /* number of the network interface */
	__u32 subnet;                      /* number of its subnet */
	__u32 route_table;                 /* number of the subnet's effective route table */
	struct address router;             /* the subnet's .1 */
	struct address router_ipv6;        /* the subnet's ::1; zero: the subnet has no IPv6 */
	struct address resolver;           /* the VPC's base + 2 */
	struct address primary;            /* primary private address: fixed for life, so checked without a lookup */
	__u8 mac[6];
	__u8 router_mac[6];
	__u16 mtu;                         /* largest inner IP packet */
	__u16 flags;                       /* enum interface_flag */
	struct gates gates;
};
_Static_assert(sizeof(struct interface_config) == 128, "shared format");

/* `interface_devices`: number of an interface of this host -> ifindex of its device: where an answer of the services goes. */

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
	__be32 host;                       /* substrate address; the substrate may stay IPv4. At a cell: number of a set in `tops` */
	__u32 interface;
	__u32 subnet;
	__u8 mac[6];
	__u8 kind;                         /* enum mapping_kind */
	__u8 flags;                        /* enum interface_flag of the interface it leads to */
	__u32 issued;                      /* unix time, seconds, when this generation was issued */
	__u64 generation;                  /* store revision that made it so */
	__u64 group_set;                   /* which security groups the interface has; 0: none */
};
_Static_assert(sizeof(struct mapping) == 40, "shared format");

/* `delegated`: a prefix of addresses that an interface has -> struct mapping. Asked when `mappings` has no row. */
struct delegated_key {
	__u32 prefix_length;               /* bits, VPC included */
	__u32 vni;
	struct address address;
};
_Static_assert(sizeof(struct delegated_key) == 24, "shared format");

/* `forwarders`: an interface to which routes lead, or which may speak for others -> where it lives. */
struct forwarder_key {
	__u32 vni;
	__u32 interface;
};
_Static_assert(sizeof(struct forwarder_key) == 8, "shared format");

struct forwarder {
	__be32 host;                       /* as in a mapping */
	__u32 subnet;
	__u8 mac[6];
	__u16 flags;                       /* enum interface_flag: with the check on it speaks for itself only */
	__u64 group_set;                   /* of one at a cell: what it passes on is admitted where its own groups are; else 0 */
};
_Static_assert(sizeof(struct forwarder) == 24, "shared format");

/* `peerings`: a row says that the first VPC admits packets of the second. */
struct peering_key {
	__u32 vni;
	__u32 peer;
};
_Static_assert(sizeof(struct peering_key) == 8, "shared format");

struct peering {
	__u32 admitted;                    /* 1 */
};
_Static_assert(sizeof(struct peering) == 4, "shared format");

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
	struct gates gates;
};
_Static_assert(sizeof(struct local_interface) == 56, "shared format");

enum route_kind {
	ROUTE_NONE = 0,                    /* as if there were no row: keeps an IPv6 route from matching IPv4 */
	ROUTE_LOCAL = 1,
	ROUTE_BLACKHOLE = 2,
	ROUTE_INTERFACE = 3,               /* target: number of an interface of this VPC, found in `forwarders` */
	ROUTE_PEER = 4,                    /* target: the peer VPC, in which the destination is looked up */
	ROUTE_INTERNET = 5,                /* through the VPC's internet gateway: to an edge */
	ROUTE_EGRESS_ONLY = 6,             /* ... its egress-only internet gateway */
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

/* Rules are bits: a rule is bit n in the words of everything that it fits, and admits a packet whose address and ports (or
 * whose sender's groups and ports) both have the bit. The lowest common bit is the rule that counts.
 *
 * Security groups: rules whose peer is a whole family (0.0.0.0/0, ::/0) have the lowest bits, `anywhere` of them.
 * Network ACLs: the entry at place n of its list has bit 2n when it allows and 2n + 1 when it denies. */
enum rule_constant {
	RULE_WORDS = 16,
	RULE_BITS = 64 * RULE_WORDS,
	RULE_LIST_BITS = 96,               /* direction and list: a prefix that must match whole */
	RULE_IPV4_BITS = 96,               /* ... and ::ffff:0:0/96 in front of an IPv4 address */
	RULE_PROTOCOL_BITS = 16,           /* ... and the protocol in front of a port */
	RULE_NONE = 0xffff,                /* in an event: no rule */
};

struct rule_bits {
	__u64 word[RULE_WORDS];            /* bit n is bit n % 64 of word n / 64 */
};
_Static_assert(sizeof(struct rule_bits) == 128, "shared format");

/* `rule_addresses`: longest prefix match; the row of a prefix has the bits of all shorter ones of its family. */
struct rule_address_key {
	__u32 prefix_length;
	__u32 direction;                   /* enum direction */
	__u64 list;
	struct address remote;
};
_Static_assert(sizeof(struct rule_address_key) == 32, "shared format");

/* `rule_groups`: rules that name a group which the remote interface has. */
struct rule_group_key {
	__u64 list;
	__u64 group_set;
	__u32 direction;
	__u32 padding;
};
_Static_assert(sizeof(struct rule_group_key) == 24, "shared format");

/* `rule_ports`: longest prefix match. No bits of protocol: any protocol that has no row of its own. */
struct rule_port_key {
	__u32 prefix_length;
	__u32 direction;
	__u64 list;
	__be16 protocol;
	__be16 port;                       /* the destination's; ICMP: type in the high octet, code in the low one */
	__u32 padding;                     /* behind every prefix */
};
_Static_assert(sizeof(struct rule_port_key) == 24, "shared format");

enum open_family {
	OPEN_IPV4 = 1,
	OPEN_IPV6 = 2,
};

struct rule_ports {
	struct rule_bits rules;
	__u16 anywhere;                    /* so many of the lowest bits are rules for a whole family */
	__u8 open;                         /* enum open_family: this direction admits the whole protocol from everywhere */
	__u8 opposite_open;                /* ... and the other direction does */
	__u32 padding;
};
_Static_assert(sizeof(struct rule_ports) == 136, "shared format");

/* `connections`: a flow that an interface's security groups track, one row for both directions. */
struct connection_key {
	__u32 interface;
	__u16 protocol;
	__be16 local_port;                 /* ICMP echo: the identifier */
	__be16 remote_port;                /* ICMP echo: enum echo_side */
	__u16 padding;
	struct address local;
	struct address remote;
};
_Static_assert(sizeof(struct connection_key) == 44, "shared format");

enum echo_side {
	ECHO_ASKED_HERE = 1,
	ECHO_ASKED_THERE = 2,
};

enum connection_state {
	CONNECTION_NEW = 1,                /* one direction so far */
	CONNECTION_ANSWERED = 2,           /* one answer; TCP: the handshake's second packet */
	CONNECTION_STREAM = 3,             /* asked again after an answer; TCP: established */
	CONNECTION_CLOSING = 4,            /* TCP: FIN or RST was seen */
};

enum idle_seconds {
	IDLE_TCP_NEW = 60,                 /* not established */
	IDLE_TCP_CLOSING = 30,
	IDLE_ICMP = 30,
	IDLE_OTHER = 600,
};

struct connection {
	__u64 deadline;                    /* nanoseconds, CLOCK_MONOTONIC: later it is not there any more */
	__u64 list;                        /* the rule that admitted it */
	__u16 rule;
	__u8 state;                        /* enum connection_state */
	__u8 opened;                       /* enum direction of its first packet */
	__u32 attachment;                  /* interface at a cell that passed it on for its client: answers go back there; 0: none did */
};
_Static_assert(sizeof(struct connection) == 24, "shared format");

/* The context of the sweep: what it counted. */
struct sweep_outcome {
	__u32 held;
	__u32 forgotten;
};
_Static_assert(sizeof(struct sweep_outcome) == 8, "shared format");

/* `allowances`: number of an interface -> how many flows it tracks, and may. */
struct allowance {
	__u32 tracked;
	__u32 allowed;
};
_Static_assert(sizeof(struct allowance) == 8, "shared format");

/* `fragments`: later fragments carry no ports; those of the first one say to which flow they belong. */
struct fragment_key {
	__u32 vni;
	__u32 identification;
	struct address source;
	struct address destination;
	__u16 protocol;
	__u16 direction;                   /* each gate sees the first fragment itself */
};
_Static_assert(sizeof(struct fragment_key) == 44, "shared format");

struct fragment_ports {
	__be16 source;
	__be16 destination;
	__u32 seen;                        /* seconds, CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct fragment_ports) == 8, "shared format");

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

/* `ports`: which port of the substrate's switch a member hangs on, by its address (one machine). Its MAC says the address, so that one key is
 * both, and who is plugged anew is the same member. The value is the port's number; the kernel forgets it when the port goes. */
enum member_constant {
	MEMBER_MAC = 0x0252,               /* its first two bytes, of an address of nobody's making (IEEE 802: local); four of the address */
	MEMBERS_MAX = 1 << 12,
};

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
