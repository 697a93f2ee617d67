/* SPDX-License-Identifier: GPL-2.0-only */
/* What may become of a packet, and what is told about it on the way. Every name here has a sentence in
 * src/rookery/trace/words.py and a test; a drop without a reason does not exist. */
#ifndef ROOKERY_VERDICT_H
#define ROOKERY_VERDICT_H

enum verdict {
	CONTINUE = 0,                      /* to the next stage */

	SENT = 1,                          /* through the sender's gate: on the substrate, or at this host's receiving gate */
	DELIVERED = 2,                     /* given to the instance */
	ANSWERED = 3,                      /* the host itself replied */
	NOT_OURS = 4,                      /* no overlay packet: left to the host's kernel */
	SERVED = 5,                        /* given to the host's services */
	DEFERRED = 6,                      /* XDP left it as it came to the TC build behind it, which judges it, and counts it as well */
	KEPT = 7,                          /* a node of a cell has written down what it tells: it was a copy, and ends here */
	CHECKED = 8,                       /* answers a health check: given to the node of a cell that made it */

	DROP_NOT_CONFIGURED = 16,          /* no interface or substrate configuration: nobody said this may pass */
	DROP_TRUNCATED = 17,               /* a header is cut off */
	DROP_NOT_IP = 18,                  /* neither IPv4, IPv6 nor ARP, or tagged for a VLAN */
	DROP_MALFORMED_IP = 19,            /* version, header length or total length is wrong */
	DROP_MALFORMED_ARP = 20,
	DROP_ARP_UNANSWERED = 21,          /* nobody has this address, or it is not for this subnet to ask */
	DROP_MULTICAST = 22,               /* broadcast or multicast: a VPC has none */
	DROP_SOURCE_MAC = 23,              /* the frame's source is not the interface's MAC */
	DROP_SOURCE_ADDRESS = 24,          /* the source is not an address of the interface */
	DROP_NO_ROUTE = 25,
	DROP_BLACKHOLE = 26,
	DROP_NO_MAPPING = 27,              /* the address is assigned to nobody in this VPC */
	DROP_WRONG_SUBNET = 28,            /* sent past the router, but the address is in another subnet */
	DROP_TOO_BIG = 29,                 /* larger than the path, and nobody can be told: the guest should have cut it */
	DROP_ENCAPSULATION = 30,           /* the kernel refused to grow or write the packet */
	DROP_MALFORMED_GENEVE = 31,        /* version, control bit, lengths, inner protocol, or no origin option */
	DROP_UNKNOWN_OPTION = 32,          /* a critical option that this host does not know */
	DROP_SOURCE_NOT_MAPPED = 33,       /* inner source unknown in this VPC */
	DROP_SOURCE_NOT_AT_HOST = 34,      /* the mapping says that the inner source lives at another host */
	DROP_DESTINATION_NOT_HERE = 35,    /* no interface of this host has the inner destination */
	DROP_DECAPSULATION = 36,           /* the kernel refused to shrink or write the packet */
	DROP_LINK_LOCAL = 37,              /* never routed, and no service answers at this address and port */

	DROP_SECURITY_GROUP_EGRESS = 38,   /* no rule of the sender's groups admits it, and it belongs to no tracked flow */
	DROP_SECURITY_GROUP_INGRESS = 39,  /* ... of the receiver's groups */
	DROP_NETWORK_ACL_EGRESS = 40,      /* an entry of the sender's subnet denies it */
	DROP_NETWORK_ACL_INGRESS = 41,     /* ... of the receiver's subnet */
	DROP_CONNECTIONS_FULL = 42,        /* a new flow, and this host tracks as many as it can */
	DROP_ALLOWANCE_EXCEEDED = 43,      /* a new flow, and the interface tracks as many as it may */
	DROP_UNKNOWN_FRAGMENT = 44,        /* a later fragment whose first one was not seen */
	DROP_NOT_PEERED = 45,              /* of a VPC that has no active peering with this one */
	DROP_DESTINATION_CHECK = 46,       /* routed to an interface that takes only what is for itself */
	DROP_NO_FORWARDER = 47,            /* the route leads to an interface that lives nowhere */
	DROP_MALFORMED_NEIGHBOUR = 48,     /* neighbour discovery that contradicts itself */
	DROP_NEIGHBOUR_UNANSWERED = 49,    /* as DROP_ARP_UNANSWERED */
	DROP_SERVICE_ALLOWANCE = 50,       /* the interface has sent services as many packets as it may in this second */
	DROP_SERVICE_FRAGMENT = 51,        /* services take no fragments */
	DROP_SERVICE_REPLY = 52,           /* what a service sent is no answer to an interface of this host */
	DROP_SERVICE_OPTIONS = 53,         /* services take no IP options and no extension headers */
	DROP_NO_EDGE = 54,                 /* the route leads to the internet, and this host knows no living edge */
	DROP_NO_GATEWAY = 55,              /* the VPC has no gateway of that kind attached */
	DROP_NO_PUBLIC_ADDRESS = 56,       /* the sender has no public address: no way out */
	DROP_UNKNOWN_PUBLIC_ADDRESS = 57,  /* from outside, to an address that no interface has */
	DROP_PRIVATE_DESTINATION = 58,     /* through a gateway to an address that the internet does not have */
	DROP_PRIVATE_SOURCE = 59,          /* from outside, with a source that the internet does not have, or of a VPC */
	DROP_NOT_AN_EDGE = 60,             /* claims to come from outside, and no edge sent it */
	DROP_UNASKED = 61,                 /* from outside to a subnet whose way out is egress-only, and nobody there asked */
	DROP_TRANSLATION = 62,             /* the kernel refused to rewrite the packet */

	DROP_NO_TOP = 63,                  /* leads to a cell, and no node of its set lives */
	DROP_NO_ATTACHMENT = 64,           /* at a node: for no interface in whose name its cell works */
	DROP_NO_SERVICE = 65,              /* ... which listens for nothing at this protocol and port, or not to the internet */
	DROP_NO_TARGET = 66,               /* no target is registered where this may go */
	DROP_PORTS_EXHAUSTED = 67,         /* no port is free towards this destination */
	DROP_NO_FLOW = 68,                 /* begins no flow, and no tracker knows it */
	DROP_PROTOCOL = 69,                /* neither TCP, UDP nor ICMP */
	DROP_HOP_LIMIT = 70,               /* TTL or hop limit has run out here */
	DROP_FLOWS_FULL = 71,              /* a new flow, and its account holds as many as it may */
	DROP_CONFLICT = 72,                /* another decision about this flow was there first */
	DROP_CHAIN = 73,                   /* from no node of the cell, or of another epoch, or malformed */
	DROP_CELL_FRAGMENT = 74,           /* a fragment of what a cell takes whole only */
	DROP_PROBE_UNANSWERED = 75,        /* a probe, and this edge or node is not to be chosen: about to go, not filled yet, or far from its cell's file */
	DROP_NO_CHECK = 78,                /* at a port that a balancer keeps for health checks, or from there: of no check that this node makes */
	DROP_NOT_A_CHECK = 79,             /* from a node's checks, but not TCP from their address and one of the node's ports */
	DROP_PROXY_PROTOCOL = 80,          /* would bring the target data in the place of the proxy protocol's header */

	VERDICTS = 96,                     /* room: values stay stable, they are read by other versions */
};

enum program {
	HOST_EGRESS = 1,                   /* from the instance */
	HOST_INGRESS = 2,                  /* from the substrate */
	HOST_SERVICES = 3,                 /* from the host's services */
	BLACKFOOT_OUTWARD = 4,             /* of an edge: from the substrate */
	BLACKFOOT_INWARD = 5,              /* of an edge: from outside */
	HYPERPLANE_TOP = 6,                /* of a cell's node: from hosts and edges */
	HYPERPLANE_CHAIN = 7,              /* ... from other nodes of its cell */
	HYPERPLANE_CHECKS = 8,             /* ... from its own health checks */
};

enum step {
	STEP_RECEIVED = 1,
	STEP_ARP_ANSWERED = 2,             /* detail: the MAC in the low 48 bits */
	STEP_SOURCE_CHECKED = 3,
	STEP_SAME_SUBNET = 4,
	STEP_ROUTE_FOUND = 5,              /* detail: enum route_kind */
	STEP_MAPPING_FOUND = 6,            /* outer_destination: the host; detail: generation */
	STEP_WRAPPED = 7,
	STEP_UNWRAPPED = 8,
	STEP_VERIFIED = 9,                 /* detail: generation of the source's mapping */
	STEP_DELIVERED = 10,
	STEP_DROPPED = 11,                 /* detail: enum verdict; of a gate: list, and rule where one denied it */
	STEP_FRAGMENTATION_NEEDED = 12,    /* detail: the MTU told */
	STEP_NOT_OURS = 13,
	STEP_CONNECTION_FOUND = 14,        /* a tracked flow; detail: list, and rule: what once admitted it */
	STEP_CONNECTION_MADE = 15,         /* tracked from now on; detail: list, and rule */
	STEP_UNTRACKED = 16,               /* admitted, and open both ways: not tracked; detail: list, and rule */
	STEP_ACL_ALLOWED = 17,             /* detail: list, and rule */
	STEP_FORWARDER_FOUND = 18,         /* the route leads to an interface; detail: its number */
	STEP_PEER_FOUND = 19,              /* the route leads to a peer; detail: its VNI */
	STEP_NEIGHBOUR_ANSWERED = 20,      /* detail: the MAC in the low 48 bits */
	STEP_ROUTER_ADVERTISED = 21,
	STEP_RELATED = 22,                 /* an ICMP error about a tracked flow */
	STEP_FORWARDED = 23,               /* verified: the sender may speak for others; detail: its number */
	STEP_SERVED = 24,                  /* detail: enum service */
	STEP_SERVICE_ANSWERED = 25,        /* detail: enum service */
	STEP_EDGE_CHOSEN = 26,             /* outer_destination: the edge */
	STEP_SOURCE_TRANSLATED = 27,       /* source: the public address */
	STEP_DESTINATION_TRANSLATED = 28,  /* destination: the private address */
	STEP_SENT_OUTSIDE = 29,
	STEP_FROM_EDGE = 30,               /* verified: an edge speaks for the internet */
	STEP_TOP_CHOSEN = 31,              /* outer_destination: the node */
	STEP_FROM_TOP = 32,                /* verified: a node of the cell speaks for its attachment; detail: the interface */
	STEP_ATTACHMENT_FOUND = 33,        /* detail: enum attachment_kind */
	STEP_DIRECTIVE_CACHED = 34,        /* the top knows what to do; detail: version */
	STEP_ASKED = 35,                   /* outer_destination: the tracker that is asked */
	STEP_TRACKED = 36,                 /* a tracker knows the flow; detail: version */
	STEP_DECIDED = 37,                 /* detail: version; destination or source: as decided */
	STEP_STORED = 38,                  /* detail: place of the node that stored it */
	STEP_TOLD = 39,                    /* outer_destination: the top that is told */
	STEP_PASSED_ON = 40,               /* outer_destination: the node whose turn it is; detail: enum chain_step */
	STEP_RESET = 41,                   /* the sender is told that its connection is no more; detail: 1: its target is gone */
	STEP_FAMILY_TRANSLATED = 42,       /* IPv6 becomes IPv4, or back; source, destination: as they are now; detail: the interface */
	STEP_CHECK_FOUND = 44,             /* it belongs to a health check; detail: its slot */
	STEP_CHECK_ANSWERED = 45,          /* given to the health check */
	STEP_HEADER_SENT = 46,             /* the proxy protocol's header goes to the target; detail: the number at which the client's data begins */
};

enum what_if_mark {
	WHAT_IF_MARK = 0x57490000,         /* skb->mark of a test run: high half says so, low half is the trace */
	WHAT_IF_MASK = 0xffff0000,
};

/* Where a what-if of TC leaves its outcome: index in skb->cb of the test run's context. */
enum what_if_outcome {
	WHAT_IF_VERDICT = 0,               /* enum verdict */
	WHAT_IF_TARGET = 1,                /* ifindex of the device the packet would go to; 0: none */
};

/* In front of the frame of a what-if of XDP: metadata. */
struct what_if_note {
	__u32 mark;                        /* as skb->mark; 0: no what-if */
	__u32 verdict;                     /* enum verdict, afterwards */
	__u32 target;                      /* as WHAT_IF_TARGET */
};
_Static_assert(sizeof(struct what_if_note) == 12, "shared format");

enum sampling_limit {
	SAMPLES = 16,                      /* sampled drops per CPU, reason and window */
	SAMPLE_WINDOW = 250000000,         /* nanoseconds */
};

/* `sampling`: per reason, on every CPU. */
struct sampling {
	__u64 window;                      /* nanoseconds: when the current one began */
	__u64 taken;
};
_Static_assert(sizeof(struct sampling) == 16, "shared format");

/* `events`: ring buffer of sampled drops, of sampled resets (STEP_RESET: their source and destination are those of the flow that
 * was reset), and of the steps of traced packets. */
struct event {
	__u64 time;                        /* nanoseconds, CLOCK_MONOTONIC */
	__u64 detail;                      /* by step */
	__u32 trace;                       /* 0: a sampled drop of real traffic */
	__u32 ifindex;
	__u32 vni;
	__u32 length;
	struct address source;
	struct address destination;
	__be32 outer_source;
	__be32 outer_destination;
	__be16 source_port;                /* ICMP echo: identifier */
	__be16 destination_port;
	__u8 protocol;
	__u8 program;                      /* enum program */
	__u8 step;                         /* enum step */
	__u8 verdict;                      /* enum verdict, when the step ends the way */
	__u16 rule;                        /* bit of the rule in its list; RULE_NONE: none */
	__u16 direction;                   /* enum direction, of a gate's step; else 0 */
	__u32 attachment;                  /* the interface at a cell in whose name it came, or is worked on; 0: none */
};
_Static_assert(sizeof(struct event) == 88, "shared format");

#endif
