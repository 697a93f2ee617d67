/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the subnet's network ACL let it across the border? It remembers nothing: every packet is judged anew. */
#ifndef ROOKERY_NETWORK_ACL_H
#define ROOKERY_NETWORK_ACL_H

#include "stages/rules.h"

static __noinline enum verdict ask_acl(struct packet *packet, const struct gates *gates, enum direction direction)
{
	struct question question = { .list = gates->acl, .direction = direction, .protocol = packet->protocol,
				     .port = rule_port(packet) };
	struct answer answer = {};

	enter_gate(packet, direction, gates->acl);
	if (!gates->acl)
		return DROP_NOT_CONFIGURED;
	question.remote = *remote_of(packet);
	ask(&question, &answer);
	packet->rule = answer.rule;
	/* Entry n has bit 2n when it allows and 2n + 1 when it denies; what no entry fits is denied. RULE_NONE is odd. */
	if (answer.rule & 1)
		return direction == EGRESS ? DROP_NETWORK_ACL_EGRESS : DROP_NETWORK_ACL_INGRESS;
	tell(packet, STEP_ACL_ALLOWED, CONTINUE, packet->list);
	leave_gate(packet);
	return CONTINUE;
}

/* As a subnet's ACL is from its beginning, and mostly stays. Which entry admits the packet is for a trace to say. */
static __always_inline bool admits_all(const struct packet *packet, const struct gates *gates, enum direction direction)
{
	__u8 families = direction == EGRESS ? gates->open_egress : gates->open_ingress;

	return families & family_of(packet) && !packet->trace;
}

/* Inside a subnet no network ACL is asked. */
static __always_inline enum verdict check_border(struct packet *packet, const struct gates *gates,
						 enum direction direction, bool crosses)
{
	return crosses && !admits_all(packet, gates, direction) ? ask_acl(packet, gates, direction) : CONTINUE;
}

#endif
