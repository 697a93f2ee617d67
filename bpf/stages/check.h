/* SPDX-License-Identifier: GPL-2.0-only */
/* Whom does a health check of this node reach, and in whose name? Its destination names a slot, and the slot says it. */
#ifndef ROOKERY_CHECK_H
#define ROOKERY_CHECK_H

#include "stages/balancer_groups.h"
#include "stages/check_answer.h"
#include "stages/decide.h"
#include "stages/follow.h"

/* Whatever else the kernel sends there, of itself or for somebody, goes nowhere. */
static __always_inline enum verdict refuse_others(const struct packet *packet, const struct course *course)
{
	struct address own = check_address(CELL_CHECK_SELF);

	if (packet->protocol != IPPROTO_TCP || packet->fragment || !same_address(&packet->source, &own))
		return DROP_NOT_A_CHECK;
	return place_of_check(packet->source_port) == course->self ? CONTINUE : DROP_NOT_A_CHECK;
}

static __always_inline const struct check_way *way_of(const struct packet *packet)
{
	__u32 word = bpf_ntohl(packet->destination.word[3]), slot = word & 0xffffff;

	return is_ipv4(&packet->destination) && word >> 24 == CELL_CHECK_NETWORK ? bpf_map_lookup_elem(&check_slots, &slot) : 0;
}

/* As if a flow had been decided on: from the balancer to the target, and with the ports that it has. */
static __always_inline void decide_check(const struct packet *packet, struct course *course, const struct check_way *way,
					 const struct attachment *attachment)
{
	struct directive *directive = &course->directive;

	directive->source = own_address(attachment, &way->address);
	directive->source_port = packet->source_port;
	directive->destination = way->address;
	directive->destination_port = packet->destination_port;
	directive->vni = way->vni;
	directive->interface = way->interface;
	directive->flags = DIRECTIVE_OUTWARD;
	directive->target = CELL_NO_TARGET;
}

/* A balancer that is gone has no address any more, and the cell's file says so up to two seconds later: hosts would take the node for a liar. */
static __always_inline bool still_speaks(const struct course *course)
{
	struct address source = course->directive.source;
	const struct mapping *own = mapping_of(course->directive.vni, &source);

	return own && own->interface == course->directive.interface;
}

static __always_inline enum verdict find_checked(struct packet *packet, struct course *course)
{
	const struct check_way *way = way_of(packet);
	const struct attachment *attachment;

	if (!way)
		return DROP_NO_CHECK;
	packet->vni = way->vni;
	attachment = attach(course, way->vni, way->interface);
	if (!attachment || attachment->kind != ATTACHMENT_BALANCER)
		return DROP_NO_ATTACHMENT;
	tell(packet, STEP_CHECK_FOUND, CONTINUE, bpf_ntohl(packet->destination.word[3]) & 0xffffff);
	decide_check(packet, course, way, attachment);
	return still_speaks(course) ? CONTINUE : DROP_NO_ATTACHMENT;
}

static __always_inline enum verdict ask_groups(struct packet *packet, const struct course *course)
{
	const struct attachment *attachment = attachment_of(course);

	return attachment ? admit_to_target(packet, attachment, course) : DROP_NO_ATTACHMENT;
}

/* Room for what is written in front comes first: then it is rewritten in place, as what came over the substrate is. */
static __always_inline enum verdict send_check(hull_t *hull, struct packet *packet)
{
	if (!grow(hull, packet))
		return DROP_ENCAPSULATION;
	packet->offset = OUTER_HEAD;
	return follow(hull);
}

#endif
