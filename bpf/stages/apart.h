/* SPDX-License-Identifier: GPL-2.0-only */
/* Does this node go by another file than its cell? An agent that stands still leaves tables that grow old, and a program that runs: every
 * chain to it would end there (chained.h), and most chains pass every node of a cell. It keeps silent then, and counts as dead, until its
 * agent takes a file. Whom it has heard of says which of both is wrong: most others are. */
#ifndef ROOKERY_APART_H
#define ROOKERY_APART_H

#include "stages/course.h"

struct apart {
	__u32 epoch;                       /* of this node's file, when it heard them */
	__u16 ahead;                       /* bit n: the node at place n goes by a file that is far newer */
	__u16 behind;                      /* ... far older */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct apart);
} cell_apart SEC(".maps");

static __always_inline struct apart *find_apart(void)
{
	const __u32 only = 0;

	return bpf_map_lookup_elem(&cell_apart, &only);
}

/* The node at `place` goes by the file of `epoch`. */
static __always_inline void note_apart(const struct course *course, __u32 place, __u32 epoch)
{
	struct apart *apart = find_apart();
	__u16 bit = 1 << (place & (CELL_NODES_MAX - 1));

	if (!apart)
		return;
	if (apart->epoch != course->epoch)
		*apart = (struct apart){ .epoch = course->epoch };
	if (epoch > course->epoch)
		apart->ahead |= bit;
	else
		apart->behind |= bit;
}

/* Of two nodes the older file is wrong. */
static __always_inline bool is_apart(const struct course *course, const struct apart *apart)
{
	__u32 others = 0, ahead = 0, behind = 0;

	for (__u32 place = 0; place < CELL_NODES_MAX; place++) {
		if (place == course->self || !(course->living >> place & 1) || !node_at(course, place))
			continue;
		others++;
		ahead += apart->ahead >> place & 1;
		behind += apart->behind >> place & 1;
	}
	return 2 * ahead > others || (2 * behind > others && others > 1);
}

/* As answer_probe() wants to know it: why does this node keep silent? */
static __noinline enum verdict why_silent(void)
{
	const struct cell_config *config = find_cell();
	const struct apart *apart = find_apart();
	struct course *course;

	if (!config || !apart)
		return DROP_NOT_CONFIGURED;
	if (apart->epoch != config->epoch)
		return CONTINUE;
	course = begin_course(config);
	return !course || is_apart(course, apart) ? DROP_PROBE_UNANSWERED : CONTINUE;
}

#endif
