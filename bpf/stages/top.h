/* SPDX-License-Identifier: GPL-2.0-only */
/* For which attachment is it, may it enter, and does this node know already what becomes of it? */
#ifndef ROOKERY_TOP_H
#define ROOKERY_TOP_H

#include "hull/copy.h"
#include "stages/balancer_groups.h"
#include "stages/chain.h"
#include "stages/fragment.h"
#include "stages/from_edge.h"
#include "stages/shortcut.h"

enum top_constant {
	TOLD_EVERY = 1000000000,           /* nanoseconds between two heartbeats of a flow */
	TOLD_AGAIN = 100000000,            /* ... after one that found no way */
};

/* The interface to which a route led, or whoever has the address. */
static __noinline enum verdict find_attachment(struct packet *packet, struct course *course)
{
	struct mapping_key key = { .vni = packet->vni, .address = packet->destination };
	const struct mapping *owner = bpf_map_lookup_elem(&mappings, &key);   /* an attachment has no delegated prefix */
	const struct attachment *attachment;
	__u32 number = packet->led_to;

	if (!number && owner)
		number = owner->interface;
	packet->attachment = number;
	attachment = attach(course, packet->vni, number);
	if (!attachment)
		return DROP_NO_ATTACHMENT;
	if (owner && owner->interface == number)
		course->flags |= CHAIN_OWN_ADDRESS;
	tell(packet, STEP_ATTACHMENT_FOUND, CONTINUE, attachment->kind);
	stand_for(course, &course->attachment, attachment);
	course->measured = attachment->measured;
	course->serves = attachment->kind != ATTACHMENT_NAT;
	return CONTINUE;
}

static __always_inline bool crosses_border(const struct packet *packet, const struct course *course)
{
	return packet->origin_vni != packet->vni || course->sender.subnet != course->exit.subnet;
}

/* Is it a port that the cell handed out, or one of its checks'? Whoever listens there has it, else. An address of its own answers nothing
 * else. */
static __always_inline enum verdict find_kind_of_key(const struct packet *packet, struct course *course)
{
	const struct attachment *attachment = attachment_of(course);

	if (!attachment)
		return DROP_NO_ATTACHMENT;
	if (!(course->flags & CHAIN_OWN_ADDRESS))
		return attachment->kind == ATTACHMENT_NAT && attachment->flags & ATTACHMENT_CLOSED ? DROP_NO_SERVICE : CONTINUE;
	if (attachment->kind != ATTACHMENT_NAT && service_of(course))
		return attachment->flags & ATTACHMENT_CLOSED ? DROP_NO_SERVICE : CONTINUE;
	if (answers_check(packet, course, attachment)) {
		course->step = CHAIN_CHECK;
		return CONTINUE;
	}
	if (bpf_ntohs(course->key.destination_port) < CELL_PORT_FIRST)
		return attachment->kind == ATTACHMENT_NAT ? DROP_NO_FLOW : DROP_NO_SERVICE;
	course->flags |= CHAIN_HANDED_OUT;
	if (attachment->kind != ATTACHMENT_NAT && packet->protocol == IPPROTO_ICMP && course->begins)
		return DROP_NO_SERVICE;
	course->begins = false;
	return CONTINUE;
}

/* A handshake may be another connection's, on a port that an earlier one had: only a decision that is new itself is its. What comes later
 * may be, too, where another top saw the handshake: what this one has not used of late it does not believe. */
static __always_inline bool is_fresh(const struct packet *packet, const struct course *course, const struct cached_directive *row)
{
	__u64 seen = course->led > row->seen ? course->led : row->seen;

	if (course->now - seen >= CELL_LEASE_SECONDS * SECOND || may_have_outgrown_header(packet, &row->directive))
		return false;
	if (row->directive.flags & DIRECTIVE_PROVISIONAL)
		return !is_of_earlier_syn(course, &row->directive);
	return !course->shakes && course->now - row->leased < believed(&row->directive);
}

static __always_inline bool begins_again(const struct packet *packet, const struct course *course)
{
	return packet->protocol == IPPROTO_TCP && course->begins;
}

/* Used: a handshake that goes on is no longer provisional. */
static __always_inline void touch(const struct packet *packet, struct course *course, struct cached_directive *row)
{
	if (begins_again(packet, course))
		return;
	course->established = row->directive.flags & DIRECTIVE_PROVISIONAL && row->directive.flags & DIRECTIVE_OUTWARD;
	row->seen = course->now;
	row->directive.flags &= ~DIRECTIVE_PROVISIONAL;
	if (closes(packet) && !(row->directive.flags & DIRECTIVE_CLOSING)) {
		row->directive.flags |= DIRECTIVE_CLOSING;
		row->told = 0;
	}
}

/* As the row is before it is touched: its first use at once, then once a second, and its end. */
static __always_inline bool is_beat_due(const struct packet *packet, const struct course *course, const struct cached_directive *row)
{
	bool ends = closes(packet) && !(row->directive.flags & DIRECTIVE_CLOSING);

	if (!may_be_copied(packet) || begins_again(packet, course))
		return false;
	return ends || !row->told || course->now - row->told >= TOLD_EVERY;
}

/* The rest of the trackers is reached by a copy of the packet; it walks from one to the next, and ends at the last. */
__noinline int beat(hull_t *hull)
{
	const struct substrate_config *config = find_substrate();
	struct course *course = this_course();
	struct packet *packet = this_packet();

	if (!course || !packet || !config)
		return 0;
	course->step = CHAIN_BEAT_FIRST;
	for (__u32 i = CHAIN_BEAT_FIRST; i <= CHAIN_BEAT_ANSWERS_SECOND && course->step <= CHAIN_BEAT_ANSWERS_SECOND; i++) {
		__u32 place = place_of_step();

		if (place == course->self) {
			take_beat(packet, course);
		} else if (place == NOBODY) {
			course->step++;
		} else {
			return chain_to(hull, place) == SENT && send_copy(hull, packet, config);
		}
	}
	course->step = CHAIN_END;  /* the number after a heartbeat's last is another step's */
	return 1;
}

/* `row` may be gone or another's by now, so it is looked up again. When that was: its trackers last heard of the flow. */
static __always_inline __u64 send_beat(hull_t *hull, const struct course *course)
{
	__u64 told = beat(hull) ? course->now : course->now - TOLD_EVERY + TOLD_AGAIN;
	struct cached_directive *row = bpf_map_lookup_elem(&directives, &course->key);

	if (row)
		row->told = told;
	return told;
}

/* Groups are asked when a flow begins. */
static __noinline enum verdict ask_groups_of(struct packet *packet, struct course *course)
{
	const struct attachment *attachment = attachment_of(course);

	if (!attachment || !course->begins)
		return CONTINUE;
	return admit_client(packet, attachment, &course->key, course->sender.group_set);
}

/* A shortcut ends when the next heartbeat is due. Who has had none yet takes the long way. */
static __always_inline enum verdict follow_for(hull_t *hull, const struct packet *packet, const struct course *course, __u64 told)
{
	const struct substrate_config *config = find_substrate();
	enum verdict verdict = follow(hull);

	if (verdict == SENT && told && config)
		leave_shortcut(packet, course, config, told + TOLD_EVERY);
	return verdict;
}

__noinline int follow_cached(hull_t *hull)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	struct cached_directive *row;
	__u64 told;
	bool due;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	row = bpf_map_lookup_elem(&directives, &course->key);
	if (!row)
		return CONTINUE;
	if (!is_fresh(packet, course, row) || is_target_gone(course, &row->directive)) {
		course->flags |= is_held(course, row) ? CHAIN_HELD : 0;
		return CONTINUE;
	}
	due = is_beat_due(packet, course, row);
	if (due && !can_copy())
		return DEFERRED;
	if (!packet->what_if)
		touch(packet, course, row);
	know(course, &row->directive);
	tell(packet, STEP_DIRECTIVE_CACHED, CONTINUE, row->directive.version);
	told = row->told;
	if (due)
		told = send_beat(hull, course);
	return follow_for(hull, packet, course, told);
}

static __always_inline enum verdict ask_trackers(hull_t *hull, struct packet *packet, struct course *course)
{
	enum verdict verdict;

	if ((verdict = ask_groups_of(packet, course)))
		return verdict;
	course->step = CHAIN_ASK;
	return walk_chain(hull, false);
}

#endif
