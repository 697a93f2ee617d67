/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the packet come along a chain, from another node of this cell? What that one writes is believed: it is in the cell's file. */
#ifndef ROOKERY_CHAINED_H
#define ROOKERY_CHAINED_H

#include "stages/apart.h"
#include "stages/chain.h"

/* parse_outer() refuses every critical option, and this is one: of the outer head all else is in order. */
static __always_inline bool may_be_chained(const struct packet *packet, enum verdict verdict)
{
	return verdict == DROP_UNKNOWN_OPTION && packet->offset == CHAINED_HEAD;
}

static __always_inline bool is_chain(const struct chain_option *option)
{
	return option->header.option_class == bpf_htons(WIRE_OPTION_CLASS) && option->header.type == WIRE_OPTION_CHAIN &&
	       option->header.length_words == CHAIN_OPTION_WORDS;
}

/* NOBODY: no other node has the address. */
static __always_inline __u32 place_of_node(const struct course *course, __be32 address)
{
	for (__u32 place = 0; place < CELL_NODES_MAX; place++) {
		const struct cell_node *node = node_at(course, place);

		if (node && node->address == address && place != course->self)
			return place;
	}
	return NOBODY;
}

/* Files are fetched one after the other; who is many behind does not know whom he talks about. */
static __always_inline bool is_of_time(const struct course *course, __u32 epoch)
{
	__u32 apart = epoch > course->epoch ? epoch - course->epoch : course->epoch - epoch;

	return apart <= CELL_EPOCHS_APART;
}

static __always_inline void read_option(struct course *course, struct packet *packet, const struct chain_option *option)
{
	packet->attachment = bpf_ntohl(option->interface);
	course->step = option->step;
	course->top = option->top;
	course->decider = option->decider;
	course->flags = option->flags;
	course->asked = option->asked;
	course->refused = option->refused & REFUSED_MASK;
	course->tail = option->refused >> REFUSED_BITS ? (option->refused >> REFUSED_BITS) - 1 : NOBODY;
	course->seconds = option->seconds;
	course->directive = option->directive;
	if (packet->fragment != FRAGMENT_LATER)
		return;
	packet->source_port = option->source_port;
	packet->destination_port = option->destination_port;
}

/* Fills `course`: K as this node finds it in the packet, the rest as the sender says. */
static __noinline enum verdict read_chain(hull_t *hull, struct packet *packet, struct course *course)
{
	const struct attachment *attachment;
	struct chain_option option = {};
	enum verdict verdict;
	__u32 place;

	if (load_bytes(hull, OUTER_HEAD, &option, sizeof(option)) || !is_chain(&option))
		return DROP_UNKNOWN_OPTION;
	place = place_of_node(course, packet->outer_source);
	if (place == NOBODY)
		return DROP_CHAIN;
	if (!is_of_time(course, bpf_ntohl(option.epoch))) {
		note_apart(course, place, bpf_ntohl(option.epoch));
		return DROP_CHAIN;
	}
	if (option.step < CHAIN_ASK || option.step >= CHAIN_END)
		return DROP_CHAIN;
	read_option(course, packet, &option);
	attachment = attach(course, packet->vni, bpf_ntohl(option.interface));
	if (!attachment)
		return DROP_NO_ATTACHMENT;
	course->measured = attachment->measured;
	if ((verdict = find_key(hull, packet, course)))
		return verdict;
	if (course->flags & CHAIN_HANDED_OUT)
		course->begins = false;
	course->known = course->step >= CHAIN_ANSWERS_FIRST || course->flags & CHAIN_TAKEN;
	turn_key(&course->directive, course->key.protocol, &course->answers);
	return CONTINUE;
}

#endif
