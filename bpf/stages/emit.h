/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet leave the cell? As an instance's leaves its host, behind the gate of its groups: by the routes and the network ACL
 * of the attachment's subnet, in the attachment's name. Where it goes is asked each time: instances move, and routes change. */
#ifndef ROOKERY_EMIT_H
#define ROOKERY_EMIT_H

#include "hull/door.h"
#include "hull/room.h"
#include "stages/course.h"
#include "stages/decapsulate.h"
#include "stages/network_acl.h"
#include "stages/route.h"
#include "stages/substrate.h"
#include "stages/wrap.h"

static __always_inline void stand_for(struct course *course, const struct attachment_key *key, const struct attachment *attachment)
{
	struct interface_config *exit = &course->exit;

	exit->vni = key->vni;
	exit->interface = key->interface;
	course->exit_measured = attachment->measured;
	exit->subnet = attachment->subnet;
	exit->route_table = attachment->route_table;
	exit->primary = attachment->primary;
	exit->mtu = attachment->mtu;
	exit->gates = attachment->gates;
	__builtin_memcpy(exit->mac, attachment->mac, ETH_ALEN);
	__builtin_memcpy(exit->router_mac, attachment->router_mac, ETH_ALEN);
}

/* As if the attachment's interface had sent it to its router. */
static __always_inline void speak_as(struct packet *packet, const struct interface_config *exit)
{
	packet->vni = exit->vni;
	packet->origin_vni = exit->vni;
	packet->origin_interface = exit->interface;
	packet->led_to = 0;
	__builtin_memcpy(packet->head.frame.h_dest, exit->router_mac, ETH_ALEN);
	__builtin_memcpy(packet->head.frame.h_source, exit->mac, ETH_ALEN);
}

/* Mostly where it came in. */
static __always_inline const struct attachment *exit_at(const struct course *course, const struct attachment_key *key)
{
	if (key->vni == course->attachment.vni && key->interface == course->attachment.interface)
		return attachment_of(course);
	return bpf_map_lookup_elem(&attachments, key);
}

static __always_inline enum verdict enter_exit(struct packet *packet, struct course *course, const struct attachment_key *key)
{
	const struct attachment *attachment = exit_at(course, key);

	if (!attachment)
		return DROP_NO_ATTACHMENT;
	stand_for(course, key, attachment);
	speak_as(packet, &course->exit);
	return CONTINUE;
}

/* Whose address and whose ports are `packet`'s now: where does that go, and may it? */
__noinline int find_way(hull_t *hull)
{
	const struct substrate_config *config = find_substrate();
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum verdict verdict;

	if (!course || !packet || !config || !hull)
		return DROP_NOT_CONFIGURED;
	if ((verdict = find_next_hop(packet, &course->exit, &course->hop)))
		return verdict;
	if ((verdict = check_border(packet, &course->exit.gates, EGRESS, leaves_subnet(&course->exit, &course->hop))))
		return verdict;
	return find_substrate_hop(hull, packet, config);
}

/* In place: what is unwrapped and wrapped anew is, to the kernel, a tunnel in a tunnel. */
static __always_inline bool stretch_head(hull_t *hull, struct packet *packet, __u32 head)
{
	__s32 more = (__s32)head - (__s32)packet->offset;

	if (!stretch(hull, more))
		return false;
	packet->offset = head;
	return true;
}

__noinline int leave_cell(hull_t *hull)
{
	const struct substrate_config *config = find_substrate();
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum verdict verdict;

	if (!course || !packet || !config)
		return DROP_NOT_CONFIGURED;
	if (packet->largest + WRAPPING > config->mtu)
		return DROP_TOO_BIG;
	if (!stretch_head(hull, packet, OUTER_HEAD))
		return DROP_ENCAPSULATION;
	verdict = wrap(hull, packet, &course->hop, config);
	course->left = verdict == SENT;
	enter_again(hull, packet, config);
	return verdict;
}

#endif
