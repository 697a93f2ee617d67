/* SPDX-License-Identifier: GPL-2.0-only */
/* Do the interface's security groups admit it? Allow rules only, and a flow once admitted stays admitted. Comes last at each
 * side, so that no packet that is dropped leaves a flow behind. */
#ifndef ROOKERY_SECURITY_GROUP_H
#define ROOKERY_SECURITY_GROUP_H

#include "stages/related.h"
#include "stages/rules.h"
#include "stages/unasked.h"

static __always_inline void ask_this_way(const struct packet *packet, struct question *question, struct answer *answer)
{
	question->list = packet->list;
	question->direction = packet->direction;
	question->protocol = packet->protocol;
	question->port = rule_port(packet);
	question->remote = *remote_of(packet);
	ask(question, answer);
}

/* Would the flow of which this is a reply have been admitted from everywhere? */
static __always_inline bool reverse_is_anywhere(const struct packet *packet, struct question *question,
						struct answer *answer)
{
	question->direction = packet->direction == EGRESS ? INGRESS : EGRESS;
	question->port = packet->source_port;
	ask(question, answer);
	return answer->anywhere;
}

/* A flow that both directions admit from everywhere needs no memory: the rules alone say the same of every packet. */
static __always_inline bool is_untracked(const struct packet *packet, struct question *question, struct answer *answer)
{
	enum open_family family = family_of(packet);

	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
		return false;
	if (answer->anywhere && answer->opposite_open & family)
		return true;
	return answer->open & family && reverse_is_anywhere(packet, question, answer);
}

/* Through an egress-only gateway: what comes back is let in because of the flow, and of no rule. To and from a cell: the flow says
 * where answers go. */
static __always_inline bool answers_need_flow(const struct packet *packet)
{
	return packet->leads_out == ROUTE_EGRESS_ONLY || packet->at_cell;
}

/* May it pass by the rules, and need it be remembered? */
static __noinline enum verdict ask_groups(struct packet *packet, const struct ends *ends, bool *untracked)
{
	struct question question = { .group_set = ends->group_set };
	struct answer answer = {};

	ask_this_way(packet, &question, &answer);
	packet->rule = answer.rule;
	if (answer.rule == RULE_NONE)
		return packet->direction == EGRESS ? DROP_SECURITY_GROUP_EGRESS : DROP_SECURITY_GROUP_INGRESS;
	*untracked = !opens(packet) || (!answers_need_flow(packet) && is_untracked(packet, &question, &answer));
	return CONTINUE;
}

static __always_inline enum verdict admit(struct packet *packet, const struct ends *ends, enum known known)
{
	bool untracked = false;
	enum verdict verdict;

	if ((verdict = ask_groups(packet, ends, &untracked)))
		return verdict;
	if (!untracked && (verdict = make_connection(packet, ends, known)))
		return verdict;
	tell(packet, untracked ? STEP_UNTRACKED : STEP_CONNECTION_MADE, CONTINUE, packet->list);
	return CONTINUE;
}

static __always_inline enum verdict judge(struct __sk_buff *skb, struct packet *packet, const struct ends *ends,
					  struct connection *flow)
{
	enum known known = find_connection(packet, ends, flow);

	if (known == KNOWN)
		return CONTINUE;
	if (is_related(skb, packet, ends)) {
		tell(packet, STEP_RELATED, CONTINUE, packet->list);
		return CONTINUE;
	}
	if (packet->from_outside && is_unasked(packet))
		return DROP_UNASKED;
	return admit(packet, ends, known);
}

/* `flow`: the packet's row, as flow_of() found it for this interface. */
static __always_inline enum verdict check_groups(struct __sk_buff *skb, struct packet *packet, const struct gates *gates,
						 enum direction direction, __u32 interface, __u64 group_set,
						 struct connection *flow)
{
	struct ends ends = { .gates = gates, .interface = interface, .group_set = group_set };
	enum verdict verdict;

	enter_gate(packet, direction, gates->policy);
	if (!gates->policy || !gates->acl)
		return DROP_NOT_CONFIGURED;
	if ((verdict = judge(skb, packet, &ends, flow)))
		return verdict;
	leave_gate(packet);
	return CONTINUE;
}

#endif
