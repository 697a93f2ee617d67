/* SPDX-License-Identifier: GPL-2.0-only */
/* Do the security groups of a balancer admit a new flow? From the client, and on to the target. One that was born without groups admits
 * everybody. */
#ifndef ROOKERY_BALANCER_GROUPS_H
#define ROOKERY_BALANCER_GROUPS_H

#include "stages/course.h"
#include "stages/mapping.h"
#include "stages/rules.h"

static __always_inline bool has_groups(const struct attachment *attachment)
{
	return attachment->kind != ATTACHMENT_NAT && attachment->group_set;
}

static __noinline enum verdict ask_balancer(struct packet *packet, const struct attachment *attachment, struct question *question)
{
	struct answer answer = {};

	question->list = attachment->gates.policy;
	enter_gate(packet, question->direction, question->list);
	if (!question->list)
		return DROP_NOT_CONFIGURED;
	ask(question, &answer);
	packet->rule = answer.rule;
	if (answer.rule == RULE_NONE)
		return question->direction == EGRESS ? DROP_SECURITY_GROUP_EGRESS : DROP_SECURITY_GROUP_INGRESS;
	leave_gate(packet);
	return CONTINUE;
}

/* `group_set`: the client's, where it is known. */
static __always_inline enum verdict admit_client(struct packet *packet, const struct attachment *attachment, const struct flow_key *key,
						 __u64 group_set)
{
	struct question question = { .direction = INGRESS, .group_set = group_set, .protocol = key->protocol,
				     .port = key->destination_port, .remote = key->source };

	return has_groups(attachment) ? ask_balancer(packet, attachment, &question) : CONTINUE;
}

static __always_inline enum verdict admit_to_target(struct packet *packet, const struct attachment *attachment,
						    const struct course *course)
{
	const struct directive *directive = &course->directive;
	const struct mapping *owner = mapping_of(directive->vni, &directive->destination);
	struct question question = { .direction = EGRESS, .group_set = owner ? owner->group_set : 0, .protocol = course->key.protocol,
				     .port = directive->destination_port, .remote = directive->destination };

	return has_groups(attachment) ? ask_balancer(packet, attachment, &question) : CONTINUE;
}

#endif
