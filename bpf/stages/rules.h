/* SPDX-License-Identifier: GPL-2.0-only */
/* Which rule of a list counts? The lowest bit that both the peer's row and the ports' row have (formats/maps.h). */
#ifndef ROOKERY_RULES_H
#define ROOKERY_RULES_H

#include "stages/gate.h"
#include "stages/host_tables.h"

struct question {
	__u64 list;
	__u64 group_set;                   /* of the remote; 0: none */
	__u32 direction;                   /* enum direction */
	__u16 protocol;
	__be16 port;
	struct address remote;
};

struct answer {
	__u16 rule;                        /* RULE_NONE: nothing admits it */
	bool anywhere;                     /* the rule admits a whole family */
	__u8 open;                         /* enum open_family, of the protocol in this direction */
	__u8 opposite_open;
};

static __always_inline const struct rule_bits *address_rules(const struct question *question)
{
	struct rule_address_key key = { .prefix_length = RULE_LIST_BITS + 8 * sizeof(struct address),
					.direction = question->direction, .list = question->list,
					.remote = question->remote };

	return bpf_map_lookup_elem(&rule_addresses, &key);
}

/* A zero of its own: clang would keep one in a register all through ask(), and ask() would need a step more of the stack. */
static __always_inline const struct rule_bits *group_rules(const struct question *question)
{
	struct rule_group_key key = { .list = question->list, .group_set = question->group_set,
				      .direction = question->direction };

	asm volatile("" : "=r"(key.padding) : "0"(0));
	return question->group_set ? bpf_map_lookup_elem(&rule_groups, &key) : 0;
}

static __always_inline const struct rule_ports *port_rules(const struct question *question)
{
	struct rule_port_key key = { .prefix_length = RULE_LIST_BITS + RULE_PROTOCOL_BITS + 16,
				     .direction = question->direction, .list = question->list,
				     .protocol = bpf_htons(question->protocol), .port = question->port };

	return bpf_map_lookup_elem(&rule_ports, &key);
}

/* BPF has no instruction for it, and clang's built-in ends in a crash. Counts the bits below the lowest one, without a branch:
 * the verifier would follow each. Clang would recognise the count, and crash again: hence the barrier. */
static __always_inline __u32 lowest_bit(__u64 word)
{
	word = (word & -word) - 1;
	word -= word >> 1 & 0x5555555555555555;
	asm volatile("" : "+r"(word));
	word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return word * 0x0101010101010101 >> 56;
}

/* Words are few and the first one mostly decides: a thousand rules cost hardly more than one. */
static __always_inline __u16 lowest_common(const struct rule_bits *addresses, const struct rule_bits *groups,
					   const struct rule_bits *ports)
{
	for (__u32 i = 0; i < RULE_WORDS; i++) {
		__u64 both = (addresses->word[i] | groups->word[i]) & ports->word[i];

		if (both)
			return i * 64 + lowest_bit(both);
	}
	return RULE_NONE;
}

/* Not static, so that the verifier looks at it once and not at each of its calls; then it wants to be shown that there is
 * something at its arguments. */
__noinline int ask(const struct question *question, struct answer *answer)
{
	const struct rule_bits *addresses, *groups;
	const struct rule_ports *ports;

	if (!question || !answer)
		return 0;
	*answer = (struct answer){ .rule = RULE_NONE };
	ports = port_rules(question);
	if (!ports)
		return 0;
	answer->open = ports->open;
	answer->opposite_open = ports->opposite_open;
	addresses = address_rules(question);
	groups = group_rules(question);
	if (!addresses)
		addresses = groups;
	if (!addresses)
		return 0;
	answer->rule = lowest_common(addresses, groups ? groups : addresses, &ports->rules);
	answer->anywhere = answer->rule < ports->anywhere;
	return 0;
}

#endif
