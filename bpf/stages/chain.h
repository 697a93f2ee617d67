/* SPDX-License-Identifier: GPL-2.0-only */
/* Which node is next, and what is this one to do? The packet itself travels from node to node, and carries what was decided. What a node
 * would send to itself it does at once. */
#ifndef ROOKERY_CHAIN_STAGE_H
#define ROOKERY_CHAIN_STAGE_H

#include "stages/answer_back.h"
#include "stages/chain_head.h"
#include "stages/check_answer.h"
#include "stages/decide.h"
#include "stages/follow.h"
#include "stages/held.h"

enum chain_constant {
	CHAIN_STEPS_AT_ONCE = 16,
	CHAIN_REFUSALS = 3,
	TRACKERS_ASKED = 4,                /* two of the ring, and two of the ring before or who would stand in for them */
};

/* Who would keep K if the two that do were dead: where nodes came and went of late others may have thought so, and have written it there. */
static __noinline __u32 stand_ins(void)
{
	struct course *course = this_course();
	__u32 keepers;

	if (!course || !(lately_came() | lately_left(CELL_ABSENCE_SECONDS)))
		return NOBODY << 8 | NOBODY;
	keepers = 1u << (keeper_of_key(course, false) & 31) | 1u << (keeper_of_key(course, true) & 31);
	return rank_among(course, course->hash, CELL_NODE_CURRENT, course->living & ~keepers);
}

/* Who is asked next: who keeps the flow, and while the ring is young who kept it before. */
static __always_inline __u32 place_asked(struct course *course)
{
	if (course->asked == ASKED_ALL)
		return keeper_of_key(course, false);
	if (course->asked < 2)
		return keeper_of_key(course, course->asked);
	return half_of(is_young(course) ? trackers_of_key(course, CELL_NODE_PREVIOUS) : stand_ins(), course->asked & 1);
}

/* Of the two that keep K, here says, the one that this node is not. NOBODY: it is alone. */
static __always_inline __u32 other_keeper(struct course *course)
{
	return keeper_of_key(course, keeper_of_key(course, false) == course->self);
}

__noinline __u32 place_of_step(void)
{
	struct course *course = this_course();

	if (!course)
		return NOBODY;
	switch (course->step) {
	case CHAIN_ASK:
		return place_asked(course);
	case CHAIN_DECIDE:
		return course->decider;
	case CHAIN_ANSWERS_FIRST:
	case CHAIN_ANSWERS_SECOND:
		return keeper_of_answers(course, course->step == CHAIN_ANSWERS_SECOND);
	case CHAIN_BEAT_ANSWERS_FIRST:
	case CHAIN_BEAT_ANSWERS_SECOND:
		return keeper_of_answers(course, course->step == CHAIN_BEAT_ANSWERS_SECOND);
	case CHAIN_BEAT_FIRST:
		return keeper_of_key(course, false);
	case CHAIN_SECOND:
		return course->tail;
	case CHAIN_BEAT_SECOND:
		return keeper_of_key(course, true);
	case CHAIN_TELL:
		return course->top;
	case CHAIN_CHECK:
		return node_at(course, place_of_check(course->key.destination_port)) ? place_of_check(course->key.destination_port) : NOBODY;
	}
	return NOBODY;
}

static __always_inline __u16 asked_at(const struct course *course)
{
	return course->now / SECOND;
}

static __always_inline void write_option(struct chain_option *option, const struct course *course)
{
	option->header.option_class = bpf_htons(WIRE_OPTION_CLASS);
	option->header.type = WIRE_OPTION_CHAIN;
	option->header.length_words = CHAIN_OPTION_WORDS;
	option->epoch = bpf_htonl(course->epoch);
	option->interface = bpf_htonl(course->attachment.interface);
	option->step = course->step;
	option->top = course->top;
	option->decider = course->decider;
	option->flags = course->flags;
	option->asked = course->asked;
	option->refused = course->refused | (course->tail == NOBODY ? 0 : course->tail + 1) << REFUSED_BITS;
	option->seconds = course->step == CHAIN_ASK && course->top == course->self ? asked_at(course) : course->seconds;
	option->source_port = course->key.source_port;
	option->destination_port = course->key.destination_port;
	option->directive = course->directive;
}

static __always_inline bool write_chain_head(hull_t *hull, struct packet *packet, const struct course *course,
					     const struct substrate_config *config)
{
	struct next_hop hop = { .vni = course->attachment.vni };
	struct wrapping outer = {};

	packet->outer_source = config->address;
	write_outer(&outer, packet, config, length_of(hull) - ETH_HLEN);
	write_geneve(&outer, packet, &hop);
	name_ends(&outer.ethernet, packet);
	outer.geneve.version_and_option_words = CHAIN_WORDS;
	outer.geneve.flags = CHAIN_GENEVE_FLAGS;
	return write_head(hull, &outer.ethernet, OUTER_HEAD);
}

static __always_inline bool write_chain_option(hull_t *hull, const struct course *course)
{
	struct chain_option option = {};

	write_option(&option, course);
	return !store_bytes(hull, OUTER_HEAD, &option, sizeof(option));
}

/* To the node at this place, whose turn it is. */
__noinline int chain_to(hull_t *hull, __u32 place)
{
	const struct substrate_config *config = find_substrate();
	struct course *course = this_course();
	struct packet *packet = this_packet();
	const struct cell_node *node;
	enum verdict verdict;

	if (!course || !packet || !config)
		return DROP_NOT_CONFIGURED;
	node = node_at(course, place);
	if (!node)
		return DROP_NO_TOP;
	packet->outer_destination = node->address;
	if (packet->largest + WRAPPING + sizeof(struct chain_option) > config->mtu)
		return DROP_TOO_BIG;
	if ((verdict = find_substrate_hop(hull, packet, config)))
		return verdict;
	if (!stretch_head(hull, packet, CHAINED_HEAD) || !write_chain_head(hull, packet, course, config) || !write_chain_option(hull, course))
		return DROP_ENCAPSULATION;
	return SENT;
}

static __always_inline enum step step_told(const struct course *course)
{
	if (course->step == CHAIN_ASK)
		return STEP_ASKED;
	return course->step == CHAIN_TELL ? STEP_TOLD : STEP_PASSED_ON;
}

static __always_inline enum verdict pass_on(hull_t *hull, struct packet *packet, struct course *course, __u32 place)
{
	const struct substrate_config *config = find_substrate();
	enum verdict verdict = chain_to(hull, place);

	if (verdict != SENT || !config)
		return verdict;
	tell(packet, step_told(course), CONTINUE, course->step);
	tell(packet, STEP_WRAPPED, SENT, 0);
	depart(hull, packet, config->ifindex);
	return SENT;
}

/* Who is not known is reset, but towards a NAT's outside, where nobody is told anything. A ring that is young does not know yet. */
static __always_inline bool is_to_be_reset(const struct packet *packet, const struct course *course)
{
	const struct attachment *attachment = attachment_of(course);
	bool outside = attachment && attachment->kind == ATTACHMENT_NAT && course->flags & CHAIN_OWN_ADDRESS;

	return attachment && !outside && packet->protocol == IPPROTO_TCP && !is_younger_than(course, CELL_SETTLED_SECONDS);
}

/* The top says it: hosts believe the nodes that serve the attachment's account, and no others; or knows more. */
static __always_inline enum verdict refuse_unknown(const struct packet *packet, struct course *course)
{
	if (!(course->flags & CHAIN_HELD) && !is_to_be_reset(packet, course))
		return DROP_NO_FLOW;
	course->flags |= CHAIN_UNKNOWN;
	course->step = CHAIN_TELL;
	return CONTINUE;
}

static __always_inline enum verdict refuse_gone(const struct packet *packet, struct course *course)
{
	course->flags |= CHAIN_TARGET_GONE;
	return refuse_unknown(packet, course);
}

/* Somebody else keeps such flows, here says: whoever asked thinks those dead that do, or goes by another file. */
static __always_inline enum verdict leave_to_keepers(struct course *course)
{
	if (course->refused >= CHAIN_REFUSALS)
		return DROP_NO_TOP;
	course->refused++;
	course->asked = 0;
	return place_asked(course) == course->self ? DROP_NO_TOP : CONTINUE;
}

static __always_inline bool is_living(const struct course *course, __u32 place)
{
	return place < CELL_NODES_MAX && course->living >> place & 1;
}

/* Whom this node asked has died, and no top uses what that one may have decided without having said so by a heartbeat since. */
static __always_inline bool came_to_nothing(const struct course *course, const struct tracker *row)
{
	return !is_living(course, row->decider) && row->deadline + CELL_LEASE_SECONDS * SECOND <= course->now + lifetime(&row->directive);
}

/* Who writes K last. Whoever asked before, and whom: the same, as long as that one lives. */
static __always_inline __u32 tail_of(struct course *course)
{
	const struct tracker *row = tracker_of(course);

	return row && row->pending && is_living(course, row->tail) ? row->tail : other_keeper(course);
}

/* Nobody begins a flow with a NAT's own address, or with a balancer where that does not listen. */
static __always_inline enum verdict begin_flow(struct course *course, bool what_if)
{
	const struct attachment *attachment = attachment_of(course);
	bool own = course->flags & CHAIN_OWN_ADDRESS;

	if (!attachment)
		return DROP_NO_ATTACHMENT;
	if (attachment->kind == ATTACHMENT_NAT ? own : !own)
		return DROP_NO_FLOW;
	if (!is_keeper(course) || !keeps_of_late(course, course->hash, lately_left(CELL_DOUBT_SECONDS)))
		return leave_to_keepers(course);
	course->decider = course->self;
	if (needs_port(course, attachment))
		course->decider = choose_decider(course);
	if (course->decider == NOBODY)
		return DROP_NO_TOP;
	course->tail = tail_of(course);
	course->over = version_that_is_over(course);
	course->flags &= ~CHAIN_TAKEN;
	__builtin_memset(&course->directive, 0, sizeof(course->directive));
	course->directive.version = course->over;
	if (course->decider != course->self && !what_if && !remember_decider(idle_seconds_of(course, attachment)))
		return DROP_FLOWS_FULL;
	course->step = CHAIN_DECIDE;
	return CONTINUE;
}

/* Who came back, or is there again for others, knows nothing of what was begun in its place a moment ago: a SYN may come again whose first
 * one has left the cell. */
static __always_inline bool was_begun_elsewhere(void)
{
	return changed_lately(false, CELL_DOUBT_SECONDS);
}

static __always_inline enum verdict not_known(struct packet *packet, struct course *course)
{
	bool asks_others = course->flags & CHAIN_TAKEN || (packet->protocol != IPPROTO_TCP && is_young(course)) || was_begun_elsewhere();

	if (course->begins && (course->asked == ASKED_ALL || (!course->asked && !asks_others)))
		return begin_flow(course, packet->what_if);
	if (course->asked + 1 < TRACKERS_ASKED) {
		course->asked++;
		return CONTINUE;
	}
	if (!course->begins)
		return refuse_unknown(packet, course);
	course->asked = ASKED_ALL;
	return CONTINUE;
}

static __always_inline bool closes(const struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP && packet->fragment != FRAGMENT_LATER && packet->tcp_flags & (TCP_FIN | TCP_RST);
}

/* An answer shows that its flow is there, and so does what follows a handshake's first packet. The end of a connection that was quiet is
 * what asks for it, and no heartbeat will say it again. */
static __always_inline void refresh_tracker(const struct packet *packet, const struct course *course, struct tracker *row)
{
	bool ends = closes(packet) && !(row->directive.flags & DIRECTIVE_CLOSING);
	__u64 deadline;

	if (!course->begins)
		row->directive.flags &= ~DIRECTIVE_PROVISIONAL;
	if (ends)
		row->directive.flags |= DIRECTIVE_CLOSING;
	deadline = course->now + lifetime(&row->directive);
	if (ends || deadline > row->deadline)
		row->deadline = deadline;
}

/* The chain of a known flow is walked whole again: a top may use what it is told for a while, so all that keep either direction must be
 * bound to keep it longer. K may be known where K' was lost, and its port given away. */
static __always_inline enum verdict take_known(struct packet *packet, struct course *course, struct tracker *row)
{
	if (!packet->what_if)
		refresh_tracker(packet, course, row);
	know(course, &row->directive);
	tell(packet, STEP_TRACKED, CONTINUE, row->directive.version);
	course->flags &= ~(CHAIN_TAKEN | CHAIN_KEPT);
	course->tail = other_keeper(course);
	course->step = CHAIN_ANSWERS_FIRST;
	return CONTINUE;
}

/* Somebody decides already, and remembers what: before the first heartbeat the primary itself has not heard. Where that one has died, what
 * it decided may be known to the tail alone: it stays the tail, and while it is dead, too, nobody decides anew for a moment. Where the decider
 * is the tail it alone knows, and of datagrams that nobody answers no heartbeat may ever come: who asks again writes it down as well. */
static __always_inline enum verdict ask_decider(struct packet *packet, struct course *course, struct tracker *row)
{
	__u32 tail = row->tail;

	if (course->directive.version < row->directive.version)
		course->directive.version = row->directive.version;
	if (!is_living(course, row->decider))
		return tail == NOBODY || (is_living(course, tail) && tail != course->self) || came_to_nothing(course, row) ?
			       not_known(packet, course) : DROP_NO_TOP;
	if (tail == row->decider)
		tail = course->self;
	else if (!is_living(course, tail))
		tail = other_keeper(course);
	if (!packet->what_if) {
		row->tail = tail;
		row->deadline = course->now + lifetime(&row->directive);
	}
	course->decider = row->decider;
	course->tail = tail;
	course->step = CHAIN_DECIDE;
	return CONTINUE;
}

__noinline int take_ask(void)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	struct tracker *row;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	if (course->flags & CHAIN_TAKEN && !packet->what_if)
		give_up(course, &course->key);
	row = course->asked == ASKED_ALL ? 0 : tracker_of(course);
	if (!row)
		return not_known(packet, course);
	if (row->pending)
		return ask_decider(packet, course, row);
	return is_target_gone(course, &row->directive) ? refuse_gone(packet, course) : take_known(packet, course, row);
}

/* A port whose connection has closed rests, whoever gives it up. */
static __always_inline void take_back(struct course *course)
{
	course->flags &= ~(CHAIN_TAKEN | CHAIN_KEPT);
	give_up(course, &course->key);
	if (!has_closed(&course->answers))
		give_up(course, &course->answers);
}

static __always_inline void go_on_deciding(struct course *course)
{
	course->step = hides_source(&course->key, &course->directive) ? CHAIN_ANSWERS_SECOND : CHAIN_ANSWERS_FIRST;
}

/* This node has begun such a chain itself, for it thinks the primary dead, or thought so: of both decisions the one that it asked for counts,
 * which its own tail may have told a top. */
static __always_inline enum verdict ask_own_decider(struct course *course, const struct tracker *row)
{
	if (course->refused >= CHAIN_REFUSALS || !is_living(course, row->decider))
		return DROP_CONFLICT;
	course->refused++;
	course->decider = row->decider;
	course->tail = row->tail;
	course->flags &= ~CHAIN_KEPT;
	course->step = CHAIN_DECIDE;
	return CONTINUE;
}

__noinline int take_decide(void)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	struct tracker *row;
	enum verdict verdict;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	if (course->flags & CHAIN_TAKEN)
		take_back(course);
	row = tracker_of(course);
	if (row && !(row->pending) && row->directive.version > course->directive.version && !is_target_gone(course, &row->directive)) {
		if (!packet->what_if)
			refresh_tracker(packet, course, row);
		know(course, &row->directive);
		tell(packet, STEP_TRACKED, CONTINUE, row->directive.version);
		course->step = CHAIN_ANSWERS_FIRST;
		return CONTINUE;
	}
	if (row && row->pending && row->decider != course->self && is_living(course, row->decider))
		return ask_own_decider(course, row);
	if (!course->begins)
		return refuse_unknown(packet, course);
	course->deciding = true;
	if ((verdict = decide()))
		return verdict;
	course->decided = true;
	if (course->tail == course->self)
		course->flags |= CHAIN_KEPT;
	if (!packet->what_if && !remember_decision())
		return DROP_FLOWS_FULL;
	tell(packet, STEP_DECIDED, CONTINUE, course->directive.version);
	go_on_deciding(course);
	return CONTINUE;
}

/* Another flow has these answers. Where a port was just chosen another one is. A flow that was known has lost its port: all that know it
 * forget it. */
static __always_inline enum verdict refuse_answers(struct course *course)
{
	bool known = course->decider == NOBODY;

	if ((!known && !hides_source(&course->key, &course->directive)) || course->refused >= CHAIN_REFUSALS)
		return DROP_CONFLICT;
	course->refused++;
	course->flags |= CHAIN_TAKEN;
	course->asked = 0;
	course->step = known ? CHAIN_ASK : CHAIN_DECIDE;
	return CONTINUE;
}

/* The last to write is the secondary of K, unless that has done so when it decided. */
static __always_inline enum chain_step after_answers(const struct course *course)
{
	if (course->step == CHAIN_ANSWERS_FIRST)
		return CHAIN_ANSWERS_SECOND;
	return course->flags & CHAIN_KEPT && course->tail == course->decider ? CHAIN_TELL : CHAIN_SECOND;
}

__noinline int take_answers(void)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum stored stored;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	stored = store_answers(packet->what_if);
	if (stored == NO_ROOM)
		return DROP_FLOWS_FULL;
	if (stored == OTHER_THERE)
		return refuse_answers(course);
	tell(packet, STEP_STORED, CONTINUE, course->self);
	course->step = after_answers(course);
	return CONTINUE;
}

/* Who decided first counts: a decision that was taken twice is told as it was the first time, once all that keep its answers have said that
 * they do. */
__noinline int take_second(void)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	const struct tracker *row;
	enum stored stored;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	row = tracker_of(course);
	if (row && row->pending && course->decider != NOBODY && course->decider != row->decider && !came_to_nothing(course, row))
		return ask_own_decider(course, row);
	stored = store_key(packet->what_if);
	if (stored == NO_ROOM)
		return DROP_FLOWS_FULL;
	if (stored == STORED) {
		course->step = CHAIN_TELL;
		tell(packet, STEP_STORED, CONTINUE, course->self);
		return CONTINUE;
	}
	row = tracker_of(course);
	if (!row)
		return DROP_CONFLICT;
	know(course, &row->directive);
	course->decider = NOBODY;
	course->flags &= ~CHAIN_KEPT;
	course->tail = course->self;
	course->step = CHAIN_ANSWERS_FIRST;
	tell(packet, STEP_TRACKED, CONTINUE, row->directive.version);
	return CONTINUE;
}

static __always_inline void take_beat(struct packet *packet, struct course *course)
{
	if (!packet->what_if && (course->step == CHAIN_BEAT_FIRST || course->step == CHAIN_BEAT_SECOND))
		merge_key();
	else if (!packet->what_if)
		merge_answers();
	tell(packet, STEP_STORED, CONTINUE, course->self);
	course->step++;
}

/* From a node that keeps the flow, too. Nobody walks on from here. */
__noinline int take_copy(void)
{
	const struct course *course = this_course();
	struct packet *packet = this_packet();

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	if (!packet->what_if && !merge_copy())
		return DROP_FLOWS_FULL;
	tell(packet, STEP_STORED, CONTINUE, course->self);
	return KEPT;
}

/* From when it asked, and not from when it is told: packets may be slow. What never left this node was asked just now. Before they hear that
 * a handshake ended trackers do not remember a decision for long: it is as if it had been asked for earlier. */
static __always_inline __u64 lease_begins(const struct course *course)
{
	__u16 since = course->seconds ? asked_at(course) - course->seconds : 0;
	__u64 whole = believed(&course->directive), begun = CELL_PROVISIONAL_SECONDS * SECOND / 2;
	__u64 cut = course->directive.flags & DIRECTIVE_PROVISIONAL && whole > begun ? whole - begun : 0;

	return course->now - since * SECOND - cut;
}

static __always_inline void cache_directive(const struct packet *packet, struct course *course)
{
	struct cached_directive *row = &course->cached;

	row->directive = course->directive;
	row->seen = course->now;
	row->leased = lease_begins(course);
	row->told = 0;
	row->header_sent = 0;
	row->acknowledged = 0;
	if (!packet->what_if)
		bpf_map_update_elem(&directives, &course->key, row, BPF_ANY);
}

/* CONTINUE: the top has it. */
__noinline int take_unknown(hull_t *hull)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	struct cached_directive *row;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	row = held_row(course);
	if (row)
		return use_held(hull, packet, course, row);
	return course->flags & CHAIN_HELD && !is_to_be_reset(packet, course) ? DROP_NO_FLOW : reset(hull, packet);
}

static __always_inline enum verdict take_tell(hull_t *hull, struct packet *packet, struct course *course)
{
	enum verdict verdict;

	if (!(course->flags & CHAIN_UNKNOWN))
		cache_directive(packet, course);
	else if ((verdict = take_unknown(hull)))
		return verdict;
	return follow(hull);
}

/* CONTINUE: `step` is the next one. */
static __always_inline enum verdict take_step(hull_t *hull, struct packet *packet, struct course *course)
{
	switch (course->step) {
	case CHAIN_ASK:
		return take_ask();
	case CHAIN_DECIDE:
		return take_decide();
	case CHAIN_ANSWERS_FIRST:
	case CHAIN_ANSWERS_SECOND:
		return take_answers();
	case CHAIN_SECOND:
		return take_second();
	case CHAIN_TELL:
		return take_tell(hull, packet, course);
	case CHAIN_BEAT_FIRST:
	case CHAIN_BEAT_SECOND:
	case CHAIN_BEAT_ANSWERS_FIRST:
	case CHAIN_BEAT_ANSWERS_SECOND:
		take_beat(packet, course);
		return course->step > CHAIN_BEAT_ANSWERS_SECOND ? KEPT : CONTINUE;
	case CHAIN_CHECK:
		return can_hand_over() ? take_check(hull) : DEFERRED;
	case CHAIN_COPY:
		return take_copy();
	}
	return DROP_CHAIN;
}

/* Nobody has this turn, because there are too few nodes: what it would do is left out. */
static __always_inline enum verdict skip_step(struct packet *packet, struct course *course)
{
	switch (course->step) {
	case CHAIN_ASK:
		return not_known(packet, course);
	case CHAIN_SECOND:
	case CHAIN_ANSWERS_SECOND:
	case CHAIN_BEAT_FIRST:
	case CHAIN_BEAT_SECOND:
	case CHAIN_BEAT_ANSWERS_FIRST:
		course->step++;
		return CONTINUE;
	case CHAIN_BEAT_ANSWERS_SECOND:
		return KEPT;
	case CHAIN_CHECK:
		return DROP_NO_CHECK;
	}
	return DROP_NO_TOP;
}

/* `mine`: the first step is this node's, whoever it would say has the turn: two who know different nodes to live would send a packet
 * to and fro. */
__noinline int walk_chain(hull_t *hull, bool mine)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum verdict verdict = CONTINUE;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	for (__u32 i = 0; i < CHAIN_STEPS_AT_ONCE; i++) {
		__u32 place = mine && !i ? course->self : place_of_step();

		if (place == course->self)
			verdict = take_step(hull, packet, course);
		else if (place == NOBODY)
			verdict = skip_step(packet, course);
		else
			return pass_on(hull, packet, course, place);
		if (verdict)
			return verdict;
	}
	return DROP_CHAIN;
}

#endif
