/* SPDX-License-Identifier: GPL-2.0-only */
/* A cell of Hyperplane: what hosts and edges know of its nodes, and what its nodes know and remember. The rows that come with the
 * cell's file exist in two halves: one is read, the other is being written, and `cell` says which (docs/decisions/0016). */
#ifndef ROOKERY_CELL_H
#define ROOKERY_CELL_H

#include <linux/types.h>

#include "formats/maps.h"

enum cell_constant {
	CELL_NODES_MAX = 16,
	CELL_HALVES = 2,
	CELL_CHOICES = 4093,               /* places in a service's table of choices: a prime (Maglev) */
	CELL_PORT_FIRST = 1024,            /* ports that a cell hands out: 1024..65535 ... */
	CELL_PORT_BLOCK = 64,              /* ... in blocks, each owned by one node */
	CELL_PORT_BLOCKS = 1008,
	CELL_NO_TARGET = 0xffff,           /* in a table of choices: nobody */
	CELL_MTU = 8500,                   /* largest IP packet that a cell takes */
	CELL_OVERHEAD = 160,               /* bytes that a chain adds, at most, between two nodes, beside the wrapping */
	CELL_PROVISIONAL_SECONDS = 30,     /* a decision that nobody has used yet; a target must answer within that */
	CELL_REST_SECONDS = 120,           /* after a FIN or a reset: the port is not given to others meanwhile */
	CELL_CLOSED_SECONDS = 10,          /* ... and nothing was heard for so long: the connection is over; half closed, it may go on */
	CELL_YOUNG_SECONDS = 30,           /* so long the ring before is asked, too */
	CELL_DOUBT_SECONDS = 5,            /* who lived within so long may live: nobody decides in its place but who keeps what it kept */
	CELL_ABSENCE_SECONDS = 60,         /* ... and a top may use what only it kept; the longest that one believes what it was told */
	CELL_LEASE_SECONDS = 1,            /* a heartbeat: who has not seen a flow for so long asks whether it is still the one it knew */
	CELL_SETTLED_SECONDS = 3,          /* three heartbeats: then who is not known is reset, and no longer dropped in silence */
	CELL_COPIED_SECONDS = 2,           /* no heartbeat for so long: what a node keeps of the flow is copied to who keeps it, too */
	CELL_NAT_IDLE_SECONDS = 350,
	CELL_EPOCHS_APART = 8,             /* between nodes that still listen to each other: files are fetched one after the other */
	CELL_NAT_MSS = 8460,               /* largest segment that a NAT lets IPv4's handshakes name */
	CELL_NAT64_MSS = 8440,             /* ... and IPv6's, and those that answer them */
	CELL_CHECK_PORT_FIRST = 1024,      /* ports of a balancer's own address that are never handed out: of checks ... */
	CELL_CHECK_PORTS = 64,             /* ... so many for the node at each place: a block */
	CELL_CHECK_BLOCKS = CELL_NODES_MAX,
	CELL_CHECK_NETWORK = 240,          /* first byte of addresses that name slots: reserved (RFC 1112), so nobody else has one */
	CELL_CHECK_SELF = 0xfffffe,        /* the other bytes: a node's own address there, from which it checks; others: slots */
	CELL_PROXY_HEADER = 100,           /* bytes of the proxy protocol's header, always: it is filled up */
	CELL_ENDPOINT_ID = 22,             /* characters of a vpce-... */
	CELL_EVERYBODY = 0,                /* in `tenants`: what one may hold who has no row yet */
	CELL_SHORTCUT_BITS = 13,           /* so many shortcuts (bpf/stages/shortcut.h) has each processor ... */
	CELL_SHORTCUT_CPUS = 128,          /* ... of the first so many */
};

/* `tops`, on hosts, edges and nodes: number of a set, as `host` of what lives there says it -> the nodes that serve an account. Any of
 * them speaks for the account's interfaces at the cell; a sender chooses among the living by a flow's hash. */
struct top_set {
	__u16 living;                      /* the first so many of `address`, to which one sends */
	__u16 members;                     /* so many are in the set: any of them may send */
	__be32 address[CELL_NODES_MAX];
};
_Static_assert(sizeof(struct top_set) == 68, "shared format");

enum cell_node_flag {
	CELL_NODE_CURRENT = 1,             /* in the current ring */
	CELL_NODE_PREVIOUS = 2,            /* in the ring before */
	CELL_NODE_DECIDES = 4,             /* takes new flows: not draining */
};

/* `cell_nodes`: half * CELL_NODES_MAX + place in the cell. Zero address: free. */
struct cell_node {
	__be32 address;
	__u32 flags;                       /* enum cell_node_flag */
	__u64 seed;                        /* of the node, for the rendezvous */
};
_Static_assert(sizeof(struct cell_node) == 16, "shared format");

/* `cell`: one row, key 0; written last. All zero: not configured. */
struct cell_config {
	__u64 key[2];                      /* of the hash that places flows: the cell's secret */
	__u64 ring_since;                  /* nanoseconds, CLOCK_MONOTONIC: since when the current ring is used here */
	__u32 epoch;                       /* of the file */
	__u32 half;                        /* which is read */
	__u32 number;                      /* of the cell */
	__u32 self;                        /* this node's place */
	__u32 services;                    /* rows of a half of `cell_choices` */
	__u32 targets;                     /* ... and of `cell_targets` */
};
_Static_assert(sizeof(struct cell_config) == 48, "shared format");

/* `cell_living`: one row, key 0: bit n: the node at place n answers probes. `cell_presence`: place -> since when, and until when the last
 * time; nanoseconds, CLOCK_MONOTONIC, 0: since long, or never. Of this node itself: since when it remembers anything. */
struct cell_presence {
	__u64 came;
	__u64 left;
};
_Static_assert(sizeof(struct cell_presence) == 16, "shared format");

enum attachment_kind {
	ATTACHMENT_NAT = 1,
	ATTACHMENT_BALANCER = 2,
	ATTACHMENT_ENDPOINT = 3,
};

enum attachment_flag {
	ATTACHMENT_PRIVATE = 1,            /* NAT: no public address, and no packet through an internet gateway */
	ATTACHMENT_CLOSED = 2,             /* endpoint: not (or no longer) accepted: nothing passes */
	ATTACHMENT_GROUPS_SEE_CLIENT = 4,  /* balancer: its groups are asked for consumers of its endpoint service, too */
	ATTACHMENT_SHUT_OUT = 8,           /* nobody outside reaches its IPv6 address, whatever gateway the VPC has */
};

/* `attachments`: an interface in whose name the cell works. `tenant` and `share`: whose, and how many flows that one may hold at
 * one tracker: nobody's flood takes the room of others. */
struct attachment_key {
	__u32 half;
	__u32 vni;
	__u32 interface;
};
_Static_assert(sizeof(struct attachment_key) == 12, "shared format");

struct attachment {
	__u32 tenant;
	__u32 subnet;
	__u32 route_table;
	__u16 kind;                        /* enum attachment_kind */
	__u16 flags;                       /* enum attachment_flag */
	struct address primary;            /* private */
	__u8 mac[6];
	__u8 router_mac[6];
	__u16 mtu;
	__u16 addresses;                   /* NAT: how many are in `nat_addresses` */
	__u32 measured;                    /* row in `measures`; 0: nobody wants to know */
	__u32 reserved;
	__u64 group_set;                   /* balancer, endpoint; 0: it was born without groups, and admits everybody */
	struct gates gates;
	__u8 endpoint[24];                 /* endpoint: its id, CELL_ENDPOINT_ID characters, as the proxy protocol's header has it */
	struct address primary_ipv6;       /* zero: it has none */
};
_Static_assert(sizeof(struct attachment) == 136, "shared format");

/* `measures`, per CPU: row `measured` of an attachment -> what was counted in its name, ever. Who begins flows is its source (a
 * balancer's: the client), where they lead its destination (the target). Frames count as IP packets, segments one by one. */
enum measure_way {
	MEASURE_OUTWARD = 0,               /* from the source to the destination */
	MEASURE_INWARD = 1,
};

enum measure_protocol {
	MEASURE_TCP = 0,
	MEASURE_UDP = 1,
	MEASURE_OTHER = 2,
	MEASURE_PROTOCOLS = 3,
};

enum measure {
	MEASURE_PASSED = 0,                /* (way * 3 + protocol) * 4: packets in, bytes in, packets out, bytes out */
	MEASURE_DROPPED = 24,              /* packets */
	MEASURE_RESETS_OUTWARD = 25,       /* passed on; from the source */
	MEASURE_RESETS_INWARD = 26,
	MEASURE_RESETS_OWN = 27,           /* said by the attachment itself */
	MEASURE_FLOWS = 28,                /* decided, by protocol */
	MEASURE_REFUSED = 31,              /* no way was found for them, by protocol */
	MEASURE_ESTABLISHED = 34,          /* connections whose handshake ended */
	MEASURE_IDLE = 35,                 /* ... which were given up because nothing passed any more */
	MEASURE_NO_PORT = 36,              /* packets for which none was free */
	MEASURE_NO_TARGET = 37,            /* flows, by protocol */
	MEASURE_GROUPS_INWARD = 40,        /* first packets that a balancer's groups do not admit, by protocol */
	MEASURE_GROUPS_OUTWARD = 43,       /* ... or not on to their target */
	MEASURE_UNHEALTHY = 46,            /* flows that were given to a target which is not healthy */
	MEASURE_COUNTS = 47,
};

struct measures {
	__u64 count[MEASURE_COUNTS];             /* enum measure */
};
_Static_assert(sizeof(struct measures) == 376, "shared format");

/* `flows_held`: as the last sweep found them at the first of their two keepers, by `measured`. */
struct flows_held {
	__u32 connections;                 /* established; TCP */
	__u32 opening;                     /* ... whose handshake has not ended */
	__u32 datagrams;                   /* UDP */
	__u32 others;
};
_Static_assert(sizeof(struct flows_held) == 16, "shared format");

/* `nat_addresses`: (half, vni, interface, place 0..) -> an address that new flows may leave by. A draining one is in none. */
struct nat_address_key {
	struct attachment_key attachment;
	__u32 place;
};
_Static_assert(sizeof(struct nat_address_key) == 16, "shared format");

struct nat_address {
	struct address address;            /* private; an edge knows its public one */
};
_Static_assert(sizeof(struct nat_address) == 16, "shared format");

enum service_flag {
	SERVICE_PRESERVE_CLIENT = 1,       /* the target sees the client's address and port */
	SERVICE_STICKY = 2,                /* all flows of a client's address go to one target */
	SERVICE_PROXY_PROTOCOL = 4,        /* version 2, in front of a connection's first data */
	SERVICE_ENDPOINT = 8,              /* `exit` is another VPC's balancer: never preserves the client */
	SERVICE_TO_IPV6 = 16,              /* its targets have IPv6 addresses, and clients of IPv4 are hidden; else those of IPv6 are */
};

/* `services`... of a cell: what an attachment listens for. */
struct cell_service_key {
	struct attachment_key attachment;
	__u16 protocol;
	__be16 port;
};
_Static_assert(sizeof(struct cell_service_key) == 16, "shared format");

struct cell_service {
	__u32 number;                      /* row in `cell_choices` */
	__u32 flags;                       /* enum service_flag */
	__u32 idle_seconds;
	__u32 exit_vni;                    /* in whose name its packets go to targets: itself, or the balancer behind an endpoint */
	__u32 exit_interface;
	__u32 padding;
};
_Static_assert(sizeof(struct cell_service) == 24, "shared format");

/* `cell_choices`: half * services + number -> rows in `cell_targets`, or CELL_NO_TARGET; a flow's hash says which of them. */
struct cell_choices {
	__u16 target[CELL_CHOICES];
	__u16 padding[3];
};
_Static_assert(sizeof(struct cell_choices) == 8192, "shared format");

enum target_flag {
	TARGET_HEALTHY = 1,
	TARGET_DRAINING = 2,               /* deregistered: no new flows */
	TARGET_TERMINATES = 4,             /* its flows end: reset on their next packet */
};

/* `cell_targets`: half * targets + row. */
struct cell_target {
	struct address address;
	__u32 vni;
	__u32 interface;                   /* 0: an address of which no interface is known */
	__be16 port;
	__u16 flags;                       /* enum target_flag */
	__u32 generation;                  /* raised when the row goes to another target: flows of the old one end */
};
_Static_assert(sizeof(struct cell_target) == 32, "shared format");

/* A flow as it arrives at an attachment. ICMP echo: the identifier as `source_port` of a request, `destination_port` of a reply; IPv6's ICMP has
 * IPv4's protocol number here. Its directive may have addresses of the other family. */
struct flow_key {
	__u32 vni;
	__u32 interface;                   /* the attachment's */
	__u16 protocol;
	__be16 source_port;
	__be16 destination_port;
	__u16 padding;
	struct address source;
	struct address destination;
};
_Static_assert(sizeof(struct flow_key) == 48, "shared format");

enum directive_flag {
	DIRECTIVE_OUTWARD = 1,             /* of the flow's first packet; else: of the answers */
	DIRECTIVE_PROVISIONAL = 2,         /* decided, not yet seen established: kept for CELL_PROVISIONAL_SECONDS */
	DIRECTIVE_PROXY_PROTOCOL = 4,      /* the target may lack the header still, or numbers may be taken for the header's */
	DIRECTIVE_CLOSING = 8,             /* a FIN or a reset was seen */
};

/* What a top does with a flow's packets: new addresses and ports, and in whose name they go on. */
struct directive {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 vni;
	__u32 interface;                   /* the attachment in whose name it leaves: where it came in, but for endpoints */
	__u16 flags;                       /* enum directive_flag */
	__u16 target;                      /* row in `cell_targets`; CELL_NO_TARGET: of none */
	__u32 target_generation;
	__u32 idle_seconds;
	__u32 initial_sequence;            /* of the SYN for which it was decided; 0: of what is no connection */
	__u32 padding;
	__u64 version;                     /* higher wins where two are told of the same flow */
};
_Static_assert(sizeof(struct directive) == 72, "shared format");

/* `trackers`: flow_key -> what becomes of the flow, at the nodes that keep it: each direction has its row, and its nodes. */
struct tracker {
	struct directive directive;
	__u64 deadline;                    /* nanoseconds, CLOCK_MONOTONIC: later it is not there any more */
	__u32 tenant;
	__u8 decider;                      /* places; of a pending one: who was asked ... */
	__u8 tail;                         /* ... and who is to write it last; 255: nobody else is there */
	__u16 pending;                     /* 1: no directive yet, `decider` was asked for one */
};
_Static_assert(sizeof(struct tracker) == 88, "shared format");

/* `directives`: flow_key -> what a top has been told. It may be thrown out at any time: trackers know. */
struct cached_directive {
	struct directive directive;
	__u64 seen;                        /* nanoseconds, CLOCK_MONOTONIC: when a packet last used it */
	__u64 told;                        /* ... when its trackers last heard of that; 0: never */
	__u32 header_sent;                 /* milliseconds: when this node itself last sent the target a proxy protocol's header; 0: never */
	__be32 acknowledged;               /* what the client acknowledged when it completed its handshake here; 0: not seen */
	__u64 leased;                      /* nanoseconds: when this node asked for it. Trackers are bound to keep it for a while from then on */
};
_Static_assert(sizeof(struct cached_directive) == 104, "shared format");

/* `leaving`: an address of a NAT gateway that takes no new flows -> how many flows still leave by it, of those whose answers this node
 * keeps, and which are not over: its last sweep counted them. The agent says which addresses. */
struct leaving_key {
	__u32 vni;
	__u32 interface;
	struct address address;            /* private */
};
_Static_assert(sizeof(struct leaving_key) == 24, "shared format");

struct leaving {
	__u32 flows;
};
_Static_assert(sizeof(struct leaving) == 4, "shared format");

/* The context of the sweep of a node's flows: what it counted. */
struct flow_sweep_outcome {
	__u32 held;                        /* rows of `trackers` that stay */
	__u32 closed;                      /* ... of which so many are of connections that are over: their ports rest */
	__u32 forgotten;
	__u32 cached;                      /* rows of `directives` that were used within their idle time */
	__u32 leaving;                     /* before: whether there is anything in `leaving` to count */
};
_Static_assert(sizeof(struct flow_sweep_outcome) == 20, "shared format");

/* The context of the program that looks for flows that rest, and lists their keys in `resting`. Of every `slices` rows of
 * `trackers` it looks at one, which `slice` names: the list has no room for a million. */
struct rest_search {
	__u32 slices;
	__u32 slice;
	__u32 found;
	__u32 left;                        /* for which the list had no room */
};
_Static_assert(sizeof(struct rest_search) == 16, "shared format");

/* `check_slots`: number, the last bytes of an address in CELL_CHECK_NETWORK -> whom a node's own checks of that name reach, and in the
 * name of which balancer's attachment. `check_numbers`: the same the other way round. Each node's own affair: not in the cell's file. */
struct check_way {
	__u32 vni;
	__u32 interface;                   /* the attachment's */
	struct address address;            /* the target's */
};
_Static_assert(sizeof(struct check_way) == 24, "shared format");

/* `checks`: one row, key 0: where checks come from, and their answers go. All zero: nowhere. */
struct checks_config {
	__u32 ifindex;                     /* the node's end of the pair */
	__u8 mac[6];                       /* of the other end */
	__u8 node_mac[6];
};
_Static_assert(sizeof(struct checks_config) == 16, "shared format");

/* `tenants`: number of an account -> struct allowance: flows that it holds at this tracker, and may. */

#endif
