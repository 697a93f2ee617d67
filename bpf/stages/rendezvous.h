/* SPDX-License-Identifier: GPL-2.0-only */
/* Which nodes keep a flow? The heaviest two of a ring, of those that live: who dies leaves his flows to whoever has kept them with
 * him. src/rookery/hyperplane/ring.py says the same. */
#ifndef ROOKERY_RENDEZVOUS_H
#define ROOKERY_RENDEZVOUS_H

#include "stages/key.h"

/* What is remembered from place to place lies in a map: the verifier would follow every order in which nodes can rank. */
static __always_inline void take_place(struct ranking *ranking, __u64 weight, __u32 place)
{
	if (ranking->first == NOBODY || weight > ranking->first_weight) {
		ranking->second_weight = ranking->first_weight;
		ranking->second = ranking->first;
		ranking->first_weight = weight;
		ranking->first = place;
	} else if (ranking->second == NOBODY || weight > ranking->second_weight) {
		ranking->second_weight = weight;
		ranking->second = place;
	}
}

/* The places of the first two, the second one's times 256; NOBODY where there is none. Of two as heavy the lower place is first.
 * `flags`: all of them; enum cell_node_flag. Behind the last that lives nobody is looked for. */
__noinline __u32 rank(__u64 hash, __u32 flags)
{
	struct course *course = this_course();

	if (!course)
		return NOBODY << 8 | NOBODY;
	course->ranking = (struct ranking){ .first = NOBODY, .second = NOBODY };
	for (__u32 place = 0; place < CELL_NODES_MAX && course->living >> place; place++) {
		const struct cell_node *node = node_at(course, place);

		if (node && (node->flags & flags) == flags && course->living >> place & 1)
			take_place(&course->ranking, mix64(hash ^ node->seed), place);
	}
	return (course->ranking.second & 0xff) << 8 | (course->ranking.first & 0xff);
}

/* Is this node the first? Who looks for a block of ports asks this of a dozen: most are somebody else's, and the first heavier node says so. */
__noinline int ranks_first(__u64 hash, __u32 flags)
{
	const struct course *course = this_course();
	const struct cell_node *own = course ? node_at(course, course->self) : 0;
	__u64 weight;

	if (!own || (own->flags & flags) != flags)
		return 0;
	weight = mix64(hash ^ own->seed);
	for (__u32 place = 0; place < CELL_NODES_MAX && course->living >> place; place++) {
		const struct cell_node *node = node_at(course, place);
		__u64 other;

		if (!node || place == course->self || (node->flags & flags) != flags || !(course->living >> place & 1))
			continue;
		other = mix64(hash ^ node->seed);
		if (other > weight || (other == weight && place < course->self))
			return 0;
	}
	return 1;
}

static __always_inline __u32 trackers_of_key(const struct course *course, __u32 ring)
{
	return rank(hash_of_key(course->flags & CHAIN_HANDED_OUT), ring);
}

static __always_inline __u32 half_of(__u32 places, bool second)
{
	return (second ? places >> 8 : places) & 0xff;
}

/* Every step asks for them: they are found once a run, in which nobody begins to live or dies. */
static __always_inline __u32 keeper_of_key(struct course *course, bool second)
{
	if (!course->keepers) {
		course->hash = hash_of_key(course->flags & CHAIN_HANDED_OUT);
		course->keepers = KEEPERS_KNOWN | rank(course->hash, CELL_NODE_CURRENT);
	}
	return half_of(course->keepers, second);
}

static __always_inline __u32 keeper_of_answers(struct course *course, bool second)
{
	if (!course->answers_keepers)
		course->answers_keepers = KEEPERS_KNOWN | rank(hash_of_answers(hides_source(&course->key, &course->directive)), CELL_NODE_CURRENT);
	return half_of(course->answers_keepers, second);
}

/* `place` is a copy: of a number whose address it has seen the verifier knows no bounds. */
static __always_inline const struct cell_presence *presence_of(__u32 place)
{
	return bpf_map_lookup_elem(&cell_presence, &place);
}

/* Bits: whose presence changed within so many seconds: who left, or who came. */
__noinline __u32 changed_lately(bool left, __u32 seconds)
{
	const struct course *course = this_course();
	__u32 places = 0;

	if (!course)
		return 0;
	for (__u32 place = 0; place < CELL_NODES_MAX; place++) {
		const struct cell_presence *row = presence_of(place);
		__u64 when = !row ? 0 : left ? row->left : row->came;

		if (when && course->now < when + seconds * SECOND)
			places |= 1u << place;
	}
	return places;
}

/* Who lived a moment ago, and is not among the living. */
static __always_inline __u32 lately_left(__u32 seconds)
{
	return changed_lately(true, seconds);
}

/* Who is back, or new, and may not have heard yet what it is to keep. */
static __always_inline __u32 lately_came(void)
{
	return changed_lately(false, CELL_ABSENCE_SECONDS);
}

static __always_inline __u32 rank_among(struct course *course, __u64 hash, __u32 flags, __u32 places)
{
	__u32 living = course->living, found;

	course->living = places;
	found = rank(hash, flags);
	course->living = living;
	return found;
}

/* Is this node one of the two that keep K? */
static __always_inline bool is_keeper(struct course *course)
{
	return keeper_of_key(course, false) == course->self || keeper_of_key(course, true) == course->self;
}

/* ... or keeper of what has the hash, also when those lived that did a moment ago? Two that wrongly count as dead know more. */
static __always_inline bool keeps_of_late(struct course *course, __u64 hash, __u32 absent)
{
	__u32 found;

	if (!(absent & ~course->living))
		return true;
	found = rank_among(course, hash, CELL_NODE_CURRENT, course->living | absent);
	return half_of(found, false) == course->self || half_of(found, true) == course->self;
}

/* Of the living ones with these flags whoever came first, as this node saw it: it has been told most. NOBODY: there is none. */
__noinline __u32 longest_there(__u32 flags)
{
	struct course *course = this_course();

	if (!course)
		return NOBODY;
	course->ranking = (struct ranking){ .first = NOBODY, .second = NOBODY };
	for (__u32 place = 0; place < CELL_NODES_MAX; place++) {
		const struct cell_presence *row = presence_of(place);
		const struct cell_node *node = node_at(course, place);

		if (row && node && (node->flags & flags) == flags && course->living >> place & 1)
			take_place(&course->ranking, ~row->came, place);
	}
	return course->ranking.first;
}

/* Who decides under which port a flow leaves. A node that is new, or came back, waits until it has been told which ports of its blocks are
 * taken; where all are, whoever has heard the others for longest does not. */
static __always_inline __u32 choose_decider(struct course *course)
{
	__u32 settled = CELL_NODE_CURRENT | CELL_NODE_DECIDES, both = settled | CELL_NODE_PREVIOUS;
	__u64 hash = mix64(course->keepers ? course->hash : hash_of_key(false));
	__u32 came = lately_came(), place = rank_among(course, hash, is_young(course) ? both : settled, course->living & ~came) & 0xff;

	if (place == NOBODY && is_young(course))
		place = longest_there(both);
	return place == NOBODY ? longest_there(settled) : place;
}

#endif
