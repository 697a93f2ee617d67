/* SPDX-License-Identifier: GPL-2.0-only */
/* Does it answer a health check? Then the node gets it whose check it is, which its port says, and its target is the only one that is heard.
 * Nothing is remembered of checks (docs/decisions/0022). */
#ifndef ROOKERY_CHECK_ANSWER_H
#define ROOKERY_CHECK_ANSWER_H

#include "stages/cross.h"

_Static_assert(CELL_CHECK_PORTS == CELL_PORT_BLOCK && CELL_CHECK_PORT_FIRST == CELL_PORT_FIRST,
	       "checks take whole blocks away from those that are handed out");

static __always_inline const struct checks_config *find_checks(void)
{
	const __u32 only = 0;
	const struct checks_config *found = bpf_map_lookup_elem(&checks, &only);

	return found && found->ifindex ? found : 0;
}

/* Of the node that checks from this port of a balancer's own address; CELL_CHECK_BLOCKS or more: nobody does. */
static __always_inline __u32 place_of_check(__be16 port)
{
	return ((__u32)bpf_ntohs(port) - CELL_CHECK_PORT_FIRST) / CELL_CHECK_PORTS;
}

/* ... to a balancer's own address, where it does not listen. */
static __always_inline bool answers_check(const struct packet *packet, const struct course *course, const struct attachment *attachment)
{
	return attachment->kind == ATTACHMENT_BALANCER && packet->protocol == IPPROTO_TCP &&
	       place_of_check(course->key.destination_port) < CELL_CHECK_BLOCKS;
}

static __always_inline struct address check_address(__u32 slot)
{
	return ipv4_address(bpf_htonl((__u32)CELL_CHECK_NETWORK << 24 | slot));
}

/* A target answers, and begins nothing: nobody but a socket that waits for it may hear it. */
static __always_inline enum verdict find_check(struct packet *packet, const struct course *course)
{
	struct check_way way = { .vni = course->attachment.vni, .interface = course->attachment.interface, .address = packet->source };
	const __u32 *slot;

	if (place_of_check(course->key.destination_port) != course->self || packet->protocol != IPPROTO_TCP || may_begin(packet))
		return DROP_NO_CHECK;
	slot = bpf_map_lookup_elem(&check_numbers, &way);
	if (!slot)
		return DROP_NO_CHECK;
	tell(packet, STEP_CHECK_FOUND, CONTINUE, *slot);
	packet->source = check_address(*slot);
	packet->destination = check_address(CELL_CHECK_SELF);
	return CONTINUE;
}

/* The sockets of checks speak IPv4, whatever their target speaks. */
static __always_inline enum verdict cross_check(hull_t *hull, struct packet *packet, struct course *course)
{
	if (segment_of(hull))
		return cut_first(hull, packet, course);
	course->directive.source = packet->source;
	course->directive.destination = packet->destination;
	return cross_packet(hull, ip_bytes(packet));
}

static __always_inline enum verdict give_to_checks(hull_t *hull, struct packet *packet, const struct checks_config *config)
{
	struct head head = {};

	if (!shrink(hull, packet))
		return DROP_DECAPSULATION;
	__builtin_memcpy(head.frame.h_dest, config->mac, ETH_ALEN);
	__builtin_memcpy(head.frame.h_source, config->node_mac, ETH_ALEN);
	head.frame.h_proto = bpf_htons(ETH_P_IP);
	if (!write_head(hull, &head.frame, sizeof(head.frame)))
		return DROP_DECAPSULATION;
	tell(packet, STEP_CHECK_ANSWERED, CHECKED, 0);
	packet->target = config->ifindex;
	packet->action = bpf_redirect(config->ifindex, 0);
	return CHECKED;
}

/* The node that made the check, or was said to have: who is not the one passes it on to nobody. */
__noinline int take_check(hull_t *hull)
{
	const struct checks_config *config = find_checks();
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum verdict verdict;

	if (!course || !packet || !config)
		return DROP_NOT_CONFIGURED;
	if ((verdict = find_check(packet, course)))
		return verdict;
	verdict = came_as_ipv6(packet) ? cross_check(hull, packet, course) : rewrite(hull);
	if (verdict)
		return verdict;
	return give_to_checks(hull, packet, config);
}

#endif
