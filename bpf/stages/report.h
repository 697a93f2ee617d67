/* SPDX-License-Identifier: GPL-2.0-only */
/* What is told about a packet? The one exit of every program is finish(). */
#ifndef ROOKERY_REPORT_H
#define ROOKERY_REPORT_H

#include "stages/packet.h"
#include "stages/tables.h"

/* Field by field: a whole struct would be put together on the stack first, below the deepest stage. */
static __always_inline void describe(struct event *event, const struct packet *packet)
{
	event->time = bpf_ktime_get_ns();
	event->trace = packet->trace;
	event->ifindex = packet->ifindex;
	event->vni = packet->vni;
	event->length = packet->length;
	event->source = packet->source;
	event->destination = packet->destination;
	event->outer_source = packet->outer_source;
	event->outer_destination = packet->outer_destination;
	event->source_port = packet->source_port;
	event->destination_port = packet->destination_port;
	event->protocol = packet->protocol;
	event->program = packet->program;
	event->rule = packet->rule;
	event->direction = packet->direction;
	event->attachment = packet->attachment;
}

/* Out of line: it is rare, and otherwise copied into every stage. */
static __noinline void emit(const struct packet *packet, enum step step, enum verdict verdict, __u64 detail)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return;
	describe(event, packet);
	event->step = step;
	event->verdict = verdict;
	event->detail = detail;
	bpf_ringbuf_submit(event, 0);
}

/* A step on the way of a traced packet; `verdict` is CONTINUE unless the way ends here. */
static __always_inline void tell(const struct packet *packet, enum step step, enum verdict verdict, __u64 detail)
{
	if (packet->trace)
		emit(packet, step, verdict, detail);
}

/* At a gate the list says more than the verdict, which the event has anyway. */
static __always_inline __u64 drop_detail(const struct packet *packet, enum verdict verdict)
{
	return packet->direction ? packet->list : verdict;
}

static __always_inline void add(struct traffic *traffic, const struct packet *packet)
{
	traffic->packets += packet->segments;
	traffic->bytes += packet->length;
}

static __noinline void count_first(const struct packet *packet, enum verdict verdict)
{
	struct counter_key key = { .ifindex = packet->ifindex, .verdict = verdict };
	struct traffic first = { .packets = packet->segments, .bytes = packet->length };
	struct traffic *overflow;

	if (!bpf_map_update_elem(&counters, &key, &first, BPF_NOEXIST))
		return;
	key.ifindex = 0;
	overflow = bpf_map_lookup_elem(&counters, &key);
	if (overflow)
		add(overflow, packet);
}

static __noinline void count_rarely(const struct packet *packet, enum verdict verdict)
{
	struct counter_key key = { .ifindex = packet->ifindex, .verdict = verdict };
	struct traffic *traffic = bpf_map_lookup_elem(&counters, &key);

	if (traffic)
		add(traffic, packet);
	else
		count_first(packet, verdict);
}

/* A search in a hash costs as much as half a stage, and every packet counts. */
static __always_inline void count(const struct packet *packet, enum verdict verdict)
{
	__u32 key = packet->ifindex % BUSY_DEVICES * BUSY_VERDICTS + verdict;
	struct busy_counter *row = verdict < BUSY_VERDICTS ? bpf_map_lookup_elem(&busy_counters, &key) : 0;

	if (!row || row->ifindex != packet->ifindex)
		return count_rarely(packet, verdict);
	row->packets += packet->segments;
	row->bytes += packet->length;
}

/* At most SAMPLES a window, per CPU and reason: a flood of one kind neither hides another nor costs more than a count. */
static __always_inline void sample(const struct packet *packet, enum step step, enum verdict verdict, __u64 detail)
{
	__u32 key = verdict;
	struct sampling *row = bpf_map_lookup_elem(&sampling, &key);
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!row)
		return;
	if (now - row->window >= SAMPLE_WINDOW) {
		row->window = now;
		row->taken = 0;
	}
	if (row->taken >= SAMPLES)
		return;
	row->taken++;
	emit(packet, step, verdict, detail);
}

/* A what-if leaves no mark but its own events and its outcome. */
static __always_inline int show(hull_t *hull, const struct packet *packet, enum verdict verdict)
{
	show_outcome(hull, verdict, packet->target);
	if (verdict >= DROP_NOT_CONFIGURED)
		tell(packet, STEP_DROPPED, verdict, drop_detail(packet, verdict));
	if (verdict == NOT_OURS)
		tell(packet, STEP_NOT_OURS, verdict, 0);
	return packet->action;
}

static __always_inline int finish(hull_t *hull, struct packet *packet, enum verdict verdict)
{
	if (verdict == NOT_OURS)
		verdict = HULL_LEFT;
	if (verdict >= DROP_NOT_CONFIGURED)
		packet->action = HULL_DROPS;
	if (verdict == HULL_LEFT)
		packet->action = HULL_LEAVES;
	if (packet->what_if)
		return show(hull, packet, verdict);
	count(packet, verdict);
	if (verdict >= DROP_NOT_CONFIGURED)
		sample(packet, STEP_DROPPED, verdict, drop_detail(packet, verdict));
	return packet->action;
}

#endif
