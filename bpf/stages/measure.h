/* SPDX-License-Identifier: GPL-2.0-only */
/* What does the attachment's owner learn of a packet? Counted once a packet, at the end, in one row; drops by their reason. The cell's own
 * health checks are no traffic of his. */
#ifndef ROOKERY_MEASURE_H
#define ROOKERY_MEASURE_H

#include "stages/course.h"
#include "stages/tcp.h"

/* A row that nobody has is nobody's: rows are counted from 1. */
static __always_inline struct measures *measures_of(__u32 row)
{
	return row ? bpf_map_lookup_elem(&measures, &row) : 0;
}

/* Clang knows the bound, and would not say it where the verifier looks for it. */
static __always_inline void count_in(struct measures *row, __u32 what, __u64 more)
{
	asm volatile("" : "+r"(what));
	if (what < MEASURE_COUNTS)
		row->count[what] += more;
}

static __always_inline __u32 measured_protocol(__u32 protocol)
{
	if (protocol == IPPROTO_TCP)
		return MEASURE_TCP;
	return protocol == IPPROTO_UDP ? MEASURE_UDP : MEASURE_OTHER;
}

/* Of all segments: a super-packet has its headers once. */
static __always_inline __u32 bytes_of(const struct packet *packet)
{
	return packet->length - ETH_HLEN + (packet->segments - 1) * packet->headers;
}

static __always_inline void note_arrival(const struct packet *packet, struct course *course)
{
	course->arrived = bytes_of(packet);
	course->segments = packet->segments;
}

/* As it comes in: to a NAT's own address, or from a balancer's target. */
static __always_inline __u32 way_in(const struct course *course)
{
	bool own = course->flags & CHAIN_OWN_ADDRESS;

	if (own && course->flags & CHAIN_HANDED_OUT)
		return MEASURE_INWARD;
	return own == course->serves ? MEASURE_OUTWARD : MEASURE_INWARD;
}

static __always_inline __u32 passed(__u32 way, __u32 protocol)
{
	return MEASURE_PASSED + (way * MEASURE_PROTOCOLS + measured_protocol(protocol)) * 4;
}

/* As it leaves. */
static __always_inline __u32 way_out_of(const struct course *course)
{
	return course->directive.flags & DIRECTIVE_OUTWARD ? MEASURE_OUTWARD : MEASURE_INWARD;
}

static __always_inline void measure_exit(const struct packet *packet, const struct course *course, struct measures *row)
{
	__u32 way = way_out_of(course), at = passed(way, course->key.protocol);

	count_in(row, at + 2, packet->segments);
	count_in(row, at + 3, bytes_of(packet));
	if (packet->protocol == IPPROTO_TCP && packet->tcp_flags & TCP_RST)
		count_in(row, MEASURE_RESETS_OUTWARD + way, 1);
	if (course->established)
		count_in(row, MEASURE_ESTABLISHED, 1);
}

static __always_inline bool goes_to_unhealthy(const struct course *course)
{
	const struct cell_config *config = find_cell();
	const struct cell_target *target;

	if (course->directive.target == CELL_NO_TARGET || !config)
		return false;
	target = target_of(course, config, course->directive.target);
	return target && !(target->flags & TARGET_HEALTHY);
}

static __always_inline void measure_new(const struct course *course, struct measures *row)
{
	count_in(row, MEASURE_FLOWS + measured_protocol(course->key.protocol), 1);
	if (goes_to_unhealthy(course))
		count_in(row, MEASURE_UNHEALTHY, 1);
}

/* An endpoint's flow is also one of the balancer behind it. Out of line: once a flow. */
static __noinline void measure_decision(const struct course *course, struct measures *row)
{
	struct attachment_key exit = { course->half, course->directive.vni, course->directive.interface };
	const struct attachment *behind;

	if (!course->decided) {
		count_in(row, MEASURE_REFUSED + measured_protocol(course->key.protocol), 1);
		return;
	}
	measure_new(course, row);
	if (exit.vni == course->attachment.vni && exit.interface == course->attachment.interface)
		return;
	behind = bpf_map_lookup_elem(&attachments, &exit);
	row = behind ? measures_of(behind->measured) : 0;
	if (row)
		measure_new(course, row);
}

static __noinline void measure_drop(const struct packet *packet, const struct course *course, struct measures *row, __u32 verdict)
{
	__u32 protocol = measured_protocol(course->key.protocol);

	count_in(row, MEASURE_DROPPED, packet->segments);
	if (verdict == DROP_PORTS_EXHAUSTED)
		count_in(row, MEASURE_NO_PORT, 1);
	if (verdict == DROP_NO_TARGET)
		count_in(row, MEASURE_NO_TARGET + protocol, 1);
	if (verdict == DROP_SECURITY_GROUP_INGRESS)
		count_in(row, MEASURE_GROUPS_INWARD + protocol, 1);
	if (verdict == DROP_SECURITY_GROUP_EGRESS)
		count_in(row, MEASURE_GROUPS_OUTWARD + protocol, 1);
}

static __always_inline void measure_arrival(const struct course *course, struct measures *row)
{
	__u32 at = passed(way_in(course), course->key.protocol);

	count_in(row, at, course->segments);
	count_in(row, at + 1, course->arrived);
}

static __always_inline void measure_passage(const struct packet *packet, struct measures *row, __u32 at)
{
	count_in(row, at, packet->segments);
	count_in(row, at + 1, bytes_of(packet));
}

/* What takes a shortcut comes in and leaves as it came, and says nothing else of its flow. */
static __always_inline void measure_shortcut(const struct packet *packet, __u32 measured, __u32 exit_measured, __u32 at, __u32 verdict)
{
	struct measures *row = measures_of(measured), *exit = exit_measured == measured ? row : measures_of(exit_measured);

	if (verdict == DEFERRED)
		return;
	if (row)
		measure_passage(packet, row, at);
	if (row && verdict >= DROP_NOT_CONFIGURED)
		count_in(row, MEASURE_DROPPED, packet->segments);
	if (exit && verdict == SENT)
		measure_passage(packet, exit, at + 2);
}

/* Out of line, and not static: the verifier looks at it once. What is deferred is measured by the build that ends it. */
__noinline int take_measures(__u32 verdict)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	struct measures *row, *exit;

	if (!course || !packet || packet->what_if || course->step == CHAIN_CHECK || verdict == DEFERRED)
		return 0;
	row = measures_of(course->measured);
	if (!row)
		return 0;
	if (course->arrived)
		measure_arrival(course, row);
	if (course->left && verdict == SENT) {
		exit = course->exit_measured == course->measured ? row : measures_of(course->exit_measured);
		if (exit)
			measure_exit(packet, course, exit);
	}
	if (course->deciding && !course->refused)
		measure_decision(course, row);
	if (verdict >= DROP_NOT_CONFIGURED)
		measure_drop(packet, course, row, verdict);
	if (verdict == ANSWERED && packet->protocol == IPPROTO_TCP)
		count_in(row, MEASURE_RESETS_OWN, 1);
	return 0;
}

#endif
