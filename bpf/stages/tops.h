/* SPDX-License-Identifier: GPL-2.0-only */
/* Which node of a cell takes the packet? Any node of an account's set serves all of its interfaces there. */
#ifndef ROOKERY_TOPS_H
#define ROOKERY_TOPS_H

#include "formats/cell.h"
#include "stages/flow.h"
#include "stages/report.h"

static __always_inline __u32 weigh(__u32 hash, __be32 node)
{
	hash ^= node * 0x85ebca6b;
	hash ^= hash >> 15;
	hash *= 0x2c1b3c6d;
	return hash ^ hash >> 12;
}

/* The heaviest for this flow (rendezvous hashing): when a node comes or goes only the flows that it has, or had, move. */
static __always_inline __be32 choose_top(const struct packet *packet, __u32 number)
{
	const struct top_set *set = bpf_map_lookup_elem(&tops, &number);
	__u32 heaviest = 0, hash;
	__be32 chosen = 0;

	if (!set)
		return 0;
	hash = flow_hash(packet);
	for (__u32 i = 0; i < CELL_NODES_MAX && i < set->living; i++) {
		__u32 weight = weigh(hash, set->address[i]);

		if (chosen && weight <= heaviest)
			continue;
		heaviest = weight;
		chosen = set->address[i];
	}
	return chosen;
}

/* Of the set with this number: for an interface that lives there. */
static __noinline enum verdict find_top(struct packet *packet, __u32 number)
{
	packet->at_cell = true;
	packet->outer_destination = choose_top(packet, number);
	if (!packet->outer_destination)
		return DROP_NO_TOP;
	tell(packet, STEP_TOP_CHOSEN, CONTINUE, 0);
	return CONTINUE;
}

#endif
