/* SPDX-License-Identifier: GPL-2.0-only */
/* Did a node send it that may speak for an interface at its cell? */
#ifndef ROOKERY_FROM_TOP_H
#define ROOKERY_FROM_TOP_H

#include "stages/tables.h"

/* Living or not, chosen or not: who drains, or does not answer this host, may still speak. */
static __noinline bool is_top(__u32 number, __be32 address)
{
	const struct top_set *set = bpf_map_lookup_elem(&tops, &number);

	if (!set)
		return false;
	for (__u32 i = 0; i < CELL_NODES_MAX && i < set->members; i++)
		if (set->address[i] == address)
			return true;
	return false;
}

#endif
