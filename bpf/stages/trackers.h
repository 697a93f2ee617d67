/* SPDX-License-Identifier: GPL-2.0-only */
/* What does this node remember of a flow, and until when? Rows are written where the chain passes, and refreshed by heartbeats. */
#ifndef ROOKERY_TRACKERS_H
#define ROOKERY_TRACKERS_H

#include "stages/rendezvous.h"

enum tracker_constant {
	TRACKER_IS_THERE = -17,            /* -EEXIST */
};

enum stored {
	STORED = 0,
	OTHER_THERE = 1,                   /* another decision is */
	NO_ROOM = 2,                       /* the account holds as many flows as it may, or all together do */
};

static __always_inline __u64 lifetime(const struct directive *directive)
{
	if (directive->flags & DIRECTIVE_PROVISIONAL)
		return CELL_PROVISIONAL_SECONDS * SECOND;
	return (directive->flags & DIRECTIVE_CLOSING ? CELL_REST_SECONDS : directive->idle_seconds) * SECOND;
}

/* Datagrams and echoes have nothing that would confirm them. */
static __always_inline __u16 provisional(const struct course *course)
{
	return course->key.protocol == IPPROTO_TCP ? DIRECTIVE_PROVISIONAL : 0;
}

/* A top's lease: it believes what it was told for half of the time for which trackers remember it at least, be that a closed connection's
 * port, of whose end the top has not heard. Then it asks again, by the next packet, however many it has sent meanwhile: its heartbeats
 * may all have been lost. */
static __always_inline __u64 believed(const struct directive *directive)
{
	__u32 seconds = directive->idle_seconds < CELL_REST_SECONDS ? directive->idle_seconds : CELL_REST_SECONDS;

	return seconds * SECOND / 2;
}

static __always_inline __u32 tenant_of(const struct course *course)
{
	const struct attachment *attachment = attachment_of(course);

	return attachment ? attachment->tenant : CELL_EVERYBODY;
}

static __noinline struct allowance *tenant_row(__u32 tenant)
{
	const __u32 everybody = CELL_EVERYBODY;
	struct allowance *row = bpf_map_lookup_elem(&tenants, &tenant), first = {};
	const struct allowance *usual;

	if (row)
		return row;
	usual = bpf_map_lookup_elem(&tenants, &everybody);
	if (!usual)
		return 0;
	first.allowed = usual->allowed;
	bpf_map_update_elem(&tenants, &tenant, &first, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tenants, &tenant);
}

/* A row that nobody has: counted where it is really new. */
static __always_inline enum stored add_tracker(const struct flow_key *key, const struct tracker *row)
{
	struct allowance *tenant = tenant_row(row->tenant);
	int error;                         /* to Linux 6.3 a map's own function returns no more, and the other half of the word is zero */

	if (!tenant || tenant->tracked >= tenant->allowed)
		return NO_ROOM;
	error = bpf_map_update_elem(&trackers, key, row, BPF_NOEXIST);
	if (error)
		return error == TRACKER_IS_THERE ? OTHER_THERE : NO_ROOM;
	__sync_fetch_and_add(&tenant->tracked, 1);
	return STORED;
}

static __always_inline struct tracker *make_row(struct course *course, const struct directive *directive)
{
	struct tracker *row = &course->row;

	row->directive = *directive;
	row->deadline = course->now + lifetime(directive);
	row->tenant = tenant_of(course);
	row->decider = 0;
	row->tail = 0;
	row->pending = 0;
	return row;
}

/* Has its target gone, or been given up? Then the flow ends. */
static __always_inline bool is_target_gone(const struct course *course, const struct directive *directive)
{
	const struct cell_config *config = find_cell();
	const struct cell_target *target;

	if (directive->target == CELL_NO_TARGET || !config)
		return false;
	target = target_of(course, config, directive->target);
	return !target || target->generation != directive->target_generation || target->flags & TARGET_TERMINATES;
}

/* The handshake for which it was decided has come to nothing, or what it began has ended and this node has not heard of it: the client
 * begins another one. A SYN that comes again has the number that it had. */
static __always_inline bool is_of_earlier_syn(const struct course *course, const struct directive *directive)
{
	return course->begins && directive->flags & DIRECTIVE_PROVISIONAL && directive->initial_sequence != course->initial_sequence;
}

/* Also when a connection begins where one has closed, or a flow where one has lost its target. A handshake's answer is of the new one. */
static __always_inline bool is_row_over(const struct course *course, const struct tracker *row)
{
	if (row->deadline <= course->now)
		return true;
	if (row->directive.flags & DIRECTIVE_CLOSING && (course->begins || course->shakes))
		return true;
	if (is_of_earlier_syn(course, &row->directive))
		return true;
	return course->begins && !row->pending && is_target_gone(course, &row->directive);
}

/* Whoever missed the end of what was before is told of it with what was decided after it, for another SYN: somebody who was dead then, or
 * who stood in for one that was, and has heard nothing since. */
static __always_inline bool is_followed(const struct course *course, const struct tracker *row, const struct directive *directive)
{
	bool forgotten = row->deadline + CELL_REST_SECONDS * SECOND <= course->now + lifetime(&row->directive);
	bool another = row->directive.initial_sequence != directive->initial_sequence;

	return row->directive.version < directive->version && (another || forgotten);
}

/* Of a connection that has closed here, or of which whoever asks says so; its client begins anew. */
static __always_inline __u64 version_that_is_over(const struct course *course)
{
	const struct tracker *row = bpf_map_lookup_elem(&trackers, &course->key);
	bool closed = row && !row->pending && row->directive.flags & DIRECTIVE_CLOSING;

	return closed && row->directive.version > course->directive.version ? row->directive.version : course->directive.version;
}

/* Answers that lead to somebody else rest, whoever begins: a port is not another's before its time. */
static __always_inline bool is_of_another(const struct tracker *row, const struct directive *directive)
{
	return !same_address(&row->directive.destination, &directive->destination) ||
	       row->directive.destination_port != directive->destination_port;
}

static __always_inline bool are_answers_over(const struct course *course, const struct tracker *row, const struct directive *directive)
{
	return is_of_another(row, directive) ? row->deadline <= course->now : is_row_over(course, row);
}

static __always_inline struct tracker *tracker_of(const struct course *course)
{
	struct tracker *row = bpf_map_lookup_elem(&trackers, &course->key);

	return row && !is_row_over(course, row) ? row : 0;
}

/* A heartbeat says more than the row: that the flow is used, or closing. That a connection ends, or has outgrown its header, is never taken
 * back: the top of the other direction may not have heard of it. */
static __always_inline void renew(struct tracker *row, const struct course *course, const struct directive *directive)
{
	bool same = !row->pending && row->directive.version == directive->version;
	bool outgrown = same && !(row->directive.flags & DIRECTIVE_PROXY_PROTOCOL);
	__u16 ends = same ? row->directive.flags & DIRECTIVE_CLOSING : 0;

	row->directive = *directive;
	if (outgrown)
		row->directive.flags &= ~DIRECTIVE_PROXY_PROTOCOL;
	row->directive.flags |= ends;
	row->pending = 0;
	row->deadline = course->now + lifetime(&row->directive);
}

/* Whoever decided it, and when: of one flow, and one way. */
static __always_inline bool says_the_same(const struct directive *a, const struct directive *b)
{
	return same_address(&a->source, &b->source) && same_address(&a->destination, &b->destination) && a->source_port == b->source_port &&
	       a->destination_port == b->destination_port && a->vni == b->vni && a->interface == b->interface;
}

/* A flow that was known, and is written down again, gives way to what was decided later, and to nothing else. */
static __always_inline bool give_way(const struct course *course, const struct directive *there, const struct directive *directive)
{
	return says_the_same(there, directive) || (course->decider == NOBODY && there->version < directive->version);
}

/* A connection begins by a decision that is over, as who keeps its answers has heard: who keeps K, or decided, missed the end, and its
 * client has begun anew. */
static __always_inline bool have_answers_ended(const struct course *course, const struct tracker *row, const struct directive *directive)
{
	return course->begins && !row->pending && row->deadline > course->now && row->directive.flags & DIRECTIVE_CLOSING &&
	       row->directive.version == directive->version;
}

/* Who decided first stays; a pending row has decided nothing. `answers`: of K', not of K. */
static __always_inline enum stored store(struct course *course, const struct flow_key *key, const struct directive *directive, bool answers)
{
	struct tracker *there = bpf_map_lookup_elem(&trackers, key);
	bool over = there && (answers ? are_answers_over(course, there, directive) :
				       is_row_over(course, there) || is_followed(course, there, directive));

	if (answers && there && have_answers_ended(course, there, directive))
		return OTHER_THERE;
	if (there && !over && !(there->pending) && there->directive.version != directive->version &&
	    !(answers && give_way(course, &there->directive, directive)))
		return OTHER_THERE;
	if (there) {
		renew(there, course, directive);
		return STORED;
	}
	return add_tracker(key, make_row(course, directive));
}

/* Of two who say different things the later decision counts. */
static __always_inline void merge(struct course *course, const struct flow_key *key, const struct directive *directive)
{
	struct tracker *there = bpf_map_lookup_elem(&trackers, key);

	if (there && there->deadline > course->now && !(there->pending) &&
	    there->directive.version > directive->version)
		return;
	if (there) {
		renew(there, course, directive);
		return;
	}
	add_tracker(key, make_row(course, directive));
}

/* Another keeper's word of a flow that rests. It is no sign of life, and takes nobody's place: what is here already stays, and longer
 * where that one has heard more of it. Nor that of an older decision: the newer one may never have left its decider, and be in nobody's use
 * (docs/decisions/0038); who is wrong hears of it with the flow's next packet. Who only knows whom it asked is answered by it, if it tells of
 * nothing that was over by then. That the same connection has ended is believed. */
static __always_inline bool keep_copy(struct course *course, __u64 deadline)
{
	struct tracker *there = bpf_map_lookup_elem(&trackers, &course->key);
	bool answered = there && there->pending && there->directive.version < course->directive.version;
	struct tracker *row;

	if (there && there->deadline > course->now && !answered) {
		if (!there->pending && there->directive.version == course->directive.version && course->directive.flags & ~there->directive.flags & DIRECTIVE_CLOSING) {
			there->directive.flags |= DIRECTIVE_CLOSING;
			there->deadline = deadline;
		}
		if (!there->pending && there->directive.version == course->directive.version && there->directive.flags == course->directive.flags &&
		    there->deadline < deadline)
			there->deadline = deadline;
		return true;
	}
	row = make_row(course, &course->directive);
	row->deadline = deadline;
	if (!there)
		return add_tracker(&course->key, row) != NO_ROOM;
	*there = *row;
	return true;
}

__noinline int merge_copy(void)
{
	struct course *course = this_course();
	__u64 quiet, whole;

	if (!course)
		return 0;
	quiet = course->seconds * SECOND;
	whole = lifetime(&course->directive);
	return quiet >= whole || keep_copy(course, course->now + whole - quiet);
}

static __always_inline void forget_tracker(const struct flow_key *key)
{
	const struct tracker *row = bpf_map_lookup_elem(&trackers, key);
	struct allowance *tenant = row ? bpf_map_lookup_elem(&tenants, &row->tenant) : 0;

	if (!bpf_map_delete_elem(&trackers, key) && tenant && (__s32)__sync_fetch_and_sub(&tenant->tracked, 1) <= 0)
		__sync_fetch_and_add(&tenant->tracked, 1);
}

/* It turned out to be over, as it was decided then; what was decided otherwise stays. */
static __always_inline void give_up(const struct course *course, const struct flow_key *key)
{
	const struct tracker *row = bpf_map_lookup_elem(&trackers, key);

	if (row && !row->pending && row->directive.version == course->directive.version)
		forget_tracker(key);
}

static __always_inline bool has_closed(const struct flow_key *key)
{
	const struct tracker *row = bpf_map_lookup_elem(&trackers, key);

	return row && row->directive.flags & DIRECTIVE_CLOSING;
}

static __always_inline bool remember(const struct course *course, const struct tracker *row)
{
	struct tracker *there = bpf_map_lookup_elem(&trackers, &course->key);

	if (!there)
		return add_tracker(&course->key, row) != NO_ROOM;
	*there = *row;
	return true;
}

/* The primary of K remembers whom it asked: a SYN that comes again gets the same decision, and so does the second datagram of a flow of
 * which no heartbeat has come, for the first one begins none. */
__noinline int remember_decider(__u32 idle_seconds)
{
	struct course *course = this_course();
	struct tracker *row;

	if (!course)
		return 0;
	row = make_row(course, &course->directive);
	row->directive.idle_seconds = idle_seconds;
	row->directive.initial_sequence = course->initial_sequence;
	row->directive.flags = provisional(course);
	row->deadline = course->now + lifetime(&row->directive);
	row->decider = course->decider;
	row->tail = course->tail;
	row->pending = 1;
	return remember(course, row);
}

/* The decider remembers what it decided, for when it is asked again before the primary knows. */
__noinline int remember_decision(void)
{
	struct course *course = this_course();

	return course && remember(course, make_row(course, &course->directive));
}

/* What-ifs leave nothing behind. */
__noinline int store_key(bool what_if)
{
	struct course *course = this_course();

	return course && !what_if ? store(course, &course->key, &course->directive, false) : STORED;
}

__noinline int store_answers(bool what_if)
{
	struct course *course = this_course();

	if (!course || what_if)
		return STORED;
	turn_directive(&course->key, &course->directive, &course->turned);
	return store(course, &course->answers, &course->turned, true);
}

__noinline int merge_key(void)
{
	struct course *course = this_course();

	if (course)
		merge(course, &course->key, &course->directive);
	return 0;
}

__noinline int merge_answers(void)
{
	struct course *course = this_course();

	if (!course)
		return 0;
	turn_directive(&course->key, &course->directive, &course->turned);
	merge(course, &course->answers, &course->turned);
	return 0;
}

#endif
