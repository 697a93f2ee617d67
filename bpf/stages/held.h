/* SPDX-License-Identifier: GPL-2.0-only */
/* Nobody who was asked knows the flow, but its top does: it was told within its lease, and has only been silent for a second. Both nodes
 * that kept it are gone, then, and their blocks of ports rest for as long as tops may use what they knew (decide.h). What the top has is
 * used, and written down where it is to be kept. */
#ifndef ROOKERY_HELD_H
#define ROOKERY_HELD_H

#include "hull/copy.h"
#include "stages/follow.h"
#include "stages/trackers.h"

enum held_constant {
	LARGEST_BEAT = 9216,               /* what is larger is no packet of a wire, and is not copied */
};

__noinline int beat(hull_t *hull);         /* top.h */

/* Of a handshake or an end the top may have seen less than others. */
static __always_inline bool is_held(const struct course *course, const struct cached_directive *row)
{
	if (course->begins || course->shakes || row->directive.flags & (DIRECTIVE_PROVISIONAL | DIRECTIVE_CLOSING))
		return false;
	return course->now - row->leased < believed(&row->directive) && !is_target_gone(course, &row->directive);
}

/* 0: the flow is unknown here, too, or is over: its port is another's, or its target gone. */
static __always_inline struct cached_directive *held_row(const struct course *course)
{
	struct cached_directive *row;

	if (!(course->flags & CHAIN_HELD) || course->flags & (CHAIN_TAKEN | CHAIN_TARGET_GONE))
		return 0;
	row = bpf_map_lookup_elem(&directives, &course->key);
	return row && is_held(course, row) ? row : 0;
}

static __always_inline bool may_be_copied(const struct packet *packet)
{
	return !packet->what_if && packet->segments == 1 && packet->length <= LARGEST_BEAT;
}

/* `told` is never: the next packet says it once more. */
static __always_inline enum verdict use_held(hull_t *hull, const struct packet *packet, struct course *course, struct cached_directive *row)
{
	if (!can_copy())
		return DEFERRED;
	if (!packet->what_if) {
		row->seen = course->now;
		row->told = 0;
		if (packet->protocol == IPPROTO_TCP && packet->tcp_flags & (TCP_FIN | TCP_RST))
			row->directive.flags |= DIRECTIVE_CLOSING;
	}
	know(course, &row->directive);
	course->flags &= ~(CHAIN_HELD | CHAIN_UNKNOWN);
	if (may_be_copied(packet))
		beat(hull);
	return CONTINUE;
}

#endif
