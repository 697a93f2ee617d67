/* SPDX-License-Identifier: GPL-2.0-only */
/* What does a node of a cell know of a packet, beyond what packet.h says? */
#ifndef ROOKERY_COURSE_H
#define ROOKERY_COURSE_H

#include "formats/chain.h"
#include "stages/cell_tables.h"
#include "stages/gate.h"
#include "stages/next_hop.h"
#include "stages/verify.h"

enum course_constant {
	NOBODY = 0xff,                     /* as a place in the cell */
	ASKED_ALL = 0xf,                   /* as a number of trackers: who is asked now decides */
	KEEPERS_KNOWN = 1 << 16,
};

struct ranking {
	__u64 first_weight;
	__u64 second_weight;
	__u32 first;                       /* places */
	__u32 second;
};

/* All that decides where an IPv4 packet goes, beside the node's own tables: what its sender claims, and its flow. */
struct shortcut_key {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__be32 outer_source;
	__u32 vni;
	__u32 origin_vni;
	__u32 origin_interface;
	__u32 led_to;
	__u32 protocol;                    /* 0: of no packet that may take a shortcut */
	__u32 padding;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct shortcut_key) == 40, "compared in whole words");

struct course {
	__u64 now;                         /* nanoseconds, CLOCK_MONOTONIC */
	__u64 ring_since;
	__u64 over;                        /* version of what the client had on this port before; 0: of nothing */
	struct flow_key key;               /* K */
	struct directive directive;
	struct attachment_key attachment;
	__u32 epoch;
	__u32 half;
	__u32 self;                        /* place */
	__u32 living;                      /* bit n: the node at place n */
	__u32 flags;                       /* enum chain_flag */
	__u32 step;                        /* enum chain_step */
	__u32 top;                         /* places */
	__u32 decider;
	__u32 asked;
	__u32 refused;
	__u32 tail;                        /* place: who writes K last */
	__u64 hash;                        /* of K, once its keepers are known */
	__u32 keepers;                     /* of K and of K', as rank() says them and ..._KNOWN; 0: nobody has asked */
	__u32 answers_keepers;
	__u32 absent;                      /* bits: who lived a minute ago, when ports are looked for */
	__u32 wanted;                      /* place: who should be the second keeper of a port; NOBODY: whoever */
	__u32 seconds;                     /* as struct chain_option has it */
	__u32 initial_sequence;            /* of a SYN */
	bool attached;                     /* `as_attached` is there */
	bool known;                        /* `directive` is there */
	bool begins;                       /* the packet may be the first one of a flow */
	bool shakes;                       /* ... or answers such a one: a connection that has closed is not its flow */
	bool left;                         /* the cell: towards whom `exit` sends */
	bool established;                  /* the packet ends a handshake */
	bool deciding;                     /* here, about a new flow */
	bool decided;
	bool serves;                       /* whoever sends to the attachment's own address begins flows */
	__u32 measured;                    /* rows in `measures`: where it came in, and in whose name it leaves */
	__u32 exit_measured;
	__u32 arrived;                     /* bytes of the IP packets that came in; 0: counted where they did */
	__u32 segments;                    /* so many are they */
	struct sender sender;
	struct next_hop hop;
	struct ranking ranking;            /* not blank, from here on: written before it is read */
	struct attachment as_attached;     /* the attachment's row, which every step asks for something */
	struct flow_key answers;           /* K', once the directive is known */
	struct directive turned;           /* of K': written where no stack has room */
	struct tracker row;                /* as it is to be stored */
	struct cached_directive cached;
	struct shortcut_key came;          /* as the packet came (shortcut.h) */
	__u64 world;                       /* ... and when */
	__u64 led;                         /* ... and when a shortcut last led one like it; 0: not of late */
	__u32 crossed_rest;                /* of an ICMP error in the other family: MTU or pointer (cross_error.h) */
	__u8 crossed_type;                 /* of an echo, in the family in which it came (cross.h) */
	struct interface_config exit;      /* in whose name it leaves, as if it were an instance's */
};

/* As packet.h's scratch: of the run that a CPU is busy with. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct course);
} scratch_course SEC(".maps");

static __always_inline struct course *this_course(void)
{
	const __u32 only = 0;

	return bpf_map_lookup_elem(&scratch_course, &only);
}

static __always_inline struct packet *this_packet(void)
{
	const __u32 only = 0;

	return bpf_map_lookup_elem(&scratch, &only);
}

static __always_inline const struct cell_config *find_cell(void)
{
	const __u32 only = 0;
	const struct cell_config *found = bpf_map_lookup_elem(&cell, &only);

	return found && found->epoch ? found : 0;
}

/* Who is not known to live or not (no agent has said so yet) is taken to live. */
static __always_inline __u32 living_nodes(const struct cell_config *config)
{
	const __u32 only = 0;
	const __u32 *bits = bpf_map_lookup_elem(&cell_living, &only);

	return bits && *bits ? *bits | 1u << (config->self & (CELL_NODES_MAX - 1)) : 0xffffffff;
}

/* One half of the tables for the whole run. */
static __always_inline struct course *blank_course(const struct cell_config *config)
{
	struct course *course = this_course();

	if (!course)
		return 0;
	__builtin_memset(course, 0, offsetof(struct course, ranking));
	course->ring_since = config->ring_since;
	course->epoch = config->epoch;
	course->half = config->half & 1;
	course->self = config->self;
	course->top = config->self;
	course->decider = NOBODY;
	course->tail = NOBODY;
	course->living = living_nodes(config);
	return course;
}

static __always_inline struct course *begin_course(const struct cell_config *config)
{
	struct course *course = blank_course(config);

	if (course)
		course->now = bpf_ktime_get_coarse_ns();
	return course;
}

static __always_inline const struct cell_node *node_at(const struct course *course, __u32 place)
{
	__u32 row = course->half * CELL_NODES_MAX + (place & (CELL_NODES_MAX - 1));
	const struct cell_node *node = place < CELL_NODES_MAX ? bpf_map_lookup_elem(&cell_nodes, &row) : 0;

	return node && node->address ? node : 0;
}

/* The clock here is coarse: the agent's may be ahead of it. */
static __always_inline bool is_younger_than(const struct course *course, __u64 seconds)
{
	return course->now < course->ring_since + seconds * SECOND;
}

static __always_inline bool is_young(const struct course *course)
{
	return is_younger_than(course, CELL_YOUNG_SECONDS);
}

static __always_inline const struct attachment *attachment_of(const struct course *course)
{
	return course->attached ? &course->as_attached : 0;
}

static __always_inline const struct attachment *attach(struct course *course, __u32 vni, __u32 interface)
{
	const struct attachment *found;

	course->attachment = (struct attachment_key){ course->half, vni, interface };
	found = bpf_map_lookup_elem(&attachments, &course->attachment);
	course->attached = found;
	if (found)
		course->as_attached = *found;
	return attachment_of(course);
}

static __always_inline const struct cell_target *target_of(const struct course *course, const struct cell_config *config, __u32 number)
{
	__u32 row = course->half * config->targets + number;

	return number < config->targets ? bpf_map_lookup_elem(&cell_targets, &row) : 0;
}

#endif
