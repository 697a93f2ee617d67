/* SPDX-License-Identifier: GPL-2.0-only */
/* The top knows what becomes of the packet: it gets its new addresses, and goes on. */
#ifndef ROOKERY_FOLLOW_H
#define ROOKERY_FOLLOW_H

#include "stages/cross.h"
#include "stages/proxy_stream.h"
#include "stages/rewrite_ipv6.h"

/* As it will be; the bytes follow when it is clear that it leaves. */
static __always_inline void readdress_packet(struct packet *packet, const struct course *course)
{
	const struct directive *directive = &course->directive;

	if (!same_address(&directive->source, &course->key.source))
		packet->source = directive->source;
	packet->destination = directive->destination;
	if (carries_ports(packet)) {
		packet->source_port = directive->source_port;
		packet->destination_port = directive->destination_port;
	}
}

static __noinline void tell_readdressed(struct packet *packet, const struct course *course)
{
	const struct directive *directive = &course->directive;

	if (!same_address(&directive->source, &course->key.source))
		tell(packet, STEP_SOURCE_TRANSLATED, CONTINUE, directive->interface);
	if (!same_address(&directive->destination, &course->key.destination))
		tell(packet, STEP_DESTINATION_TRANSLATED, CONTINUE, directive->interface);
}

static __always_inline enum verdict check_cell_size(hull_t *hull, const struct packet *packet)
{
	__u32 largest = largest_allowed(packet);

	if (packet->largest <= largest)
		return CONTINUE;
	if (!packet->dont_fragment)
		return DROP_TOO_BIG;
	return say(hull, packet, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, largest, DROP_TOO_BIG);
}

/* Every attachment is a hop, or a balancer that is its own target would go round for ever. A NAT gateway says so, with its private
 * address and to the inside. */
static __always_inline enum verdict check_hops(hull_t *hull, const struct packet *packet, const struct course *course, bool nat)
{
	if (hops_left(packet) > 1)
		return CONTINUE;
	if (!nat || !(course->directive.flags & DIRECTIVE_OUTWARD))
		return DROP_HOP_LIMIT;
	return say(hull, packet, ICMP_TIME_EXCEEDED, 0, 0, DROP_HOP_LIMIT);
}

/* Of a target: it is its own family in which the client's stream is shifted, so that happens before it crosses. Of a super-packet each
 * piece is. */
static __always_inline enum verdict shift_across(hull_t *hull, const struct course *course)
{
	enum verdict verdict;

	if (course->directive.flags & DIRECTIVE_OUTWARD || segment_of(hull))
		return CONTINUE;
	if ((verdict = answer_for_client(hull)))
		return verdict;
	return shift_stream(hull);
}

__noinline int follow(hull_t *hull)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	struct attachment_key exit;
	enum verdict verdict;
	bool nat;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	exit = (struct attachment_key){ course->half, course->directive.vni, course->directive.interface };
	nat = is_at_nat(course);
	if ((verdict = enter_exit(packet, course, &exit)))
		return verdict;
	if ((verdict = check_hops(hull, packet, course, nat)))
		return verdict;
	if (changes_family(course))
		return (verdict = shift_across(hull, course)) ? verdict : cross(hull);
	if ((verdict = answer_for_client(hull)))
		return verdict;
	readdress_packet(packet, course);
	tell_readdressed(packet, course);
	if ((verdict = find_way(hull)))
		return verdict;
	if ((verdict = check_cell_size(hull, packet)))
		return verdict;
	if ((verdict = is_ipv4(&course->directive.source) ? rewrite(hull) : rewrite_ipv6(hull)))
		return verdict;
	if (nat && (verdict = clamp_mss(hull, CELL_NAT_MSS)))
		return verdict;
	if ((verdict = shift_stream(hull)))
		return verdict;
	return leave_cell(hull);
}

#endif
