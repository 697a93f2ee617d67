/* SPDX-License-Identifier: GPL-2.0-only */
/* Did a packet just like this one leave a moment ago, and has nothing changed since? Then this one goes where that one went, and nothing
 * is asked again. What a packet does to its flow (a handshake, an end, once a second a heartbeat) it does on the long way. */
#ifndef ROOKERY_SHORTCUT_H
#define ROOKERY_SHORTCUT_H

#include "stages/emit.h"
#include "stages/follow.h"
#include "stages/measure.h"
#include "stages/tcp.h"

enum shortcut_constant {
	SHORTCUTS = 1 << CELL_SHORTCUT_BITS,   /* of a CPU */
	SHORTCUT_TICK = 20,                /* bits: nanoseconds in a tick of `used`, about a millisecond */
};

struct shortcut {
	struct shortcut_key key;
	__u64 world;                       /* in which it was found */
	__u64 until;                       /* nanoseconds, CLOCK_MONOTONIC */
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__be32 outer_destination;
	__u32 vni;                         /* the sender's, now that an attachment is it */
	__u32 interface;
	__u32 led_to;
	__u32 hop_vni;
	__u8 to[ETH_ALEN];
	__u8 from[ETH_ALEN];
	__u16 largest;                     /* IP packet that may take it */
	__u16 passed;                      /* enum measure: where the way's packets are counted, ... */
	__u32 measured;                    /* ... in these rows */
	__u32 exit_measured;
	struct wire_ends ends;                  /* of the neighbour, as the kernel knew it; zero: it has not been asked */
	__u32 used;                        /* ticks: when a packet last took it */
};
_Static_assert(sizeof(struct shortcut) == 128, "no holes");

/* A place a hash, and no search: who comes later takes it, and who was there goes the long way once more. Each CPU has its own part, as flows
 * mostly have their CPU: nobody else writes a row while it is read, but that it is over. One array, and no map a CPU: that has each row
 * somewhere else, and a pointer to it, and a flow that has not spoken lately finds neither in a cache. It may be mapped, so it begins
 * with a page, and a row is two lines. The loader sets its size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHORTCUTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct shortcut);
} shortcuts SEC(".maps");

/* A number of the node's tables as they are; 0: no agent says it, and there are no shortcuts. */
static __always_inline __u64 world_now(void)
{
	const __u32 only = 0;
	const __u64 *number = bpf_map_lookup_elem(&world, &only);

	return number ? *number : 0;
}

/* What leaves no trace. What this node sent to itself comes by its mark, and not by its address. */
static __always_inline bool may_have_shortcut(const struct packet *packet, const struct substrate_config *config)
{
	if (bpf_get_smp_processor_id() >= CELL_SHORTCUT_CPUS || packet->offset != OUTER_HEAD || packet->what_if || packet->fragment || packet->outer_source == config->address)
		return false;
	return is_ipv4(&packet->source) && (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP);
}

static __always_inline bool begins_or_ends(const struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP && packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST);
}

static __always_inline void put_shortcut_key(const struct packet *packet, struct shortcut_key *key)
{
	key->source = packet->source.word[3];
	key->destination = packet->destination.word[3];
	key->source_port = packet->source_port;
	key->destination_port = packet->destination_port;
	key->outer_source = packet->outer_source;
	key->vni = packet->vni;
	key->origin_vni = packet->origin_vni;
	key->origin_interface = packet->origin_interface;
	key->led_to = packet->led_to;
	key->protocol = packet->protocol;
	key->padding = 0;
}

static __always_inline bool same_shortcut(const struct shortcut_key *a, const struct shortcut_key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

static __always_inline __u32 place_of_shortcut(const struct shortcut_key *key)
{
	const __u64 *half = (const __u64 *)key;
	__u64 hash = half[0] * 0x9e3779b97f4a7c15 ^ half[1] * 0xc2b2ae3d27d4eb4f;

	return (hash ^ hash >> 32) * 0x9e3779b97f4a7c15 >> (64 - CELL_SHORTCUT_BITS);
}

static __always_inline struct shortcut *shortcut_at(__u32 place, __u32 cpu)
{
	__u32 row = cpu << CELL_SHORTCUT_BITS | place;

	return bpf_map_lookup_elem(&shortcuts, &row);
}

static __always_inline struct shortcut *shortcut_of(const struct shortcut_key *key)
{
	return shortcut_at(place_of_shortcut(key), bpf_get_smp_processor_id());
}

static __always_inline bool leads_on(const struct shortcut *row, struct packet *packet, __u64 world)
{
	return world && row->world == world && coarse_now(packet) < row->until;
}

/* As if all stages had said it. */
static __always_inline void follow_shortcut(struct packet *packet, const struct shortcut *row, struct next_hop *hop)
{
	packet->source.word[3] = row->source;
	packet->destination.word[3] = row->destination;
	packet->source_port = row->source_port;
	packet->destination_port = row->destination_port;
	packet->outer_destination = row->outer_destination;
	packet->vni = row->vni;
	packet->origin_vni = row->vni;
	packet->origin_interface = row->interface;
	packet->led_to = row->led_to;
	__builtin_memcpy(packet->head.frame.h_source, row->from, ETH_ALEN);
	hop->vni = row->hop_vni;
	__builtin_memcpy(hop->mac, row->to, ETH_ALEN);
}

/* Until the flow's next heartbeat a neighbour is taken to be who it was. */
static __always_inline enum verdict find_same_hop(hull_t *hull, struct packet *packet, struct shortcut *row,
						  const struct substrate_config *config)
{
	enum verdict verdict;

	if (meet_again(packet, &row->ends))
		return CONTINUE;
	if ((verdict = find_substrate_hop(hull, packet, config)))
		return verdict;
	keep_ends(packet, &row->ends);
	return CONTINUE;
}

static __always_inline enum verdict leave_by_shortcut(hull_t *hull, struct packet *packet, struct shortcut *row,
						      const struct substrate_config *config)
{
	struct next_hop hop = {};
	enum verdict verdict;

	follow_shortcut(packet, row, &hop);
	if ((verdict = find_same_hop(hull, packet, row, config)))
		return verdict;
	if (!rewrite_ends(hull, packet))
		return DROP_TRANSLATION;
	return wrap(hull, packet, &hop, config);
}

/* Its flow was seen, though its row in the cache of directives is not touched. Once in a tick: mostly the line stays as it is. */
static __always_inline void note_use(struct shortcut *row, __u64 now)
{
	__u32 tick = now >> SHORTCUT_TICK;

	if (row->used != tick)
		row->used = tick;
}

/* 0: nobody knows, for something has changed since. */
static __always_inline __u64 last_used(const struct shortcut *row, __u64 world, __u64 now)
{
	__u32 ticks = (__u32)(now >> SHORTCUT_TICK) - row->used;

	return row->world == world ? now - ((__u64)ticks << SHORTCUT_TICK) : 0;
}

/* From there it may leave a shortcut for the next one. */
static __always_inline enum verdict begin_long_way(const struct shortcut_key *key, __u64 world, __u64 led)
{
	struct course *course = this_course();

	if (!course)
		return DROP_NOT_CONFIGURED;
	course->came = *key;
	course->world = world;
	course->led = led;
	return CONTINUE;
}

/* A flow that begins or ends does something to its row; and what begins anew from the same port may lead elsewhere, whichever CPU has its
 * packets then: all of them forget. */
static __noinline enum verdict end_shortcuts(const struct shortcut_key *key, __u64 world)
{
	const struct shortcut_key none = {};
	__u32 place = place_of_shortcut(key);

	for (__u32 cpu = 0; cpu < CELL_SHORTCUT_CPUS; cpu++) {
		struct shortcut *row = shortcut_at(place, cpu);

		if (!row)
			break;
		if (same_shortcut(&row->key, key))
			row->until = 0;
	}
	return begin_long_way(&none, world, 0);
}

__noinline int take_shortcut(hull_t *hull)
{
	const struct substrate_config *config = find_substrate();
	__u64 world = world_now();         /* before anything is asked */
	struct packet *packet = this_packet();
	struct shortcut_key key = {};
	struct shortcut *row;
	enum verdict verdict;

	if (!packet || !config)
		return DROP_NOT_CONFIGURED;
	if (!may_have_shortcut(packet, config))
		return begin_long_way(&key, world, 0);
	put_shortcut_key(packet, &key);
	if (begins_or_ends(packet))
		return end_shortcuts(&key, world);
	row = shortcut_of(&key);
	if (!row || !same_shortcut(&row->key, &key))
		return begin_long_way(&key, world, 0);
	if (!leads_on(row, packet, world) || packet->head.ip.ttl <= 1 || packet->largest > row->largest)
		return begin_long_way(&key, world, last_used(row, world, coarse_now(packet)));
	note_use(row, coarse_now(packet));
	verdict = leave_by_shortcut(hull, packet, row, config);
	measure_shortcut(packet, row->measured, row->exit_measured, row->passed, verdict);
	return verdict;
}

static __always_inline __u32 largest_on_way(const struct packet *packet, const struct substrate_config *config)
{
	__u32 largest = packet->leads_out ? INTERNET_MTU : CELL_MTU;

	return largest + WRAPPING > config->mtu ? config->mtu - WRAPPING : largest;
}

/* The packet has left: what is known of it now is what the next one's way will be. */
static __always_inline void leave_shortcut(const struct packet *packet, const struct course *course,
					   const struct substrate_config *config, __u64 until)
{
	const struct shortcut_key *key = &course->came;
	struct shortcut *row = key->protocol ? shortcut_of(key) : 0;

	if (!row || packet->outer_destination == packet->outer_source || course->directive.flags & DIRECTIVE_PROXY_PROTOCOL)
		return;
	row->key = *key;
	row->world = course->world;
	row->until = until;
	row->source = packet->source.word[3];
	row->destination = packet->destination.word[3];
	row->source_port = packet->source_port;
	row->destination_port = packet->destination_port;
	row->outer_destination = packet->outer_destination;
	row->vni = packet->origin_vni;
	row->interface = packet->origin_interface;
	row->led_to = packet->led_to;
	row->hop_vni = course->hop.vni;
	__builtin_memcpy(row->to, course->hop.mac, ETH_ALEN);
	__builtin_memcpy(row->from, packet->head.frame.h_source, ETH_ALEN);
	row->largest = largest_on_way(packet, config);
	row->passed = passed(way_out_of(course), course->key.protocol);
	row->measured = course->measured;
	row->exit_measured = course->exit_measured;
	row->ends = (struct wire_ends){};
	row->used = course->now >> SHORTCUT_TICK;
}

#endif
