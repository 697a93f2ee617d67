/* SPDX-License-Identifier: GPL-2.0-only */
/* What do the programs of an edge know beyond tables.h? Nothing of any flow. */
#ifndef ROOKERY_EDGE_TABLES_H
#define ROOKERY_EDGE_TABLES_H

#include "stages/tables.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);   /* the loader sets what the edge's configuration says */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct public_key);
	__type(value, struct public);
} publics SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);   /* ... */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mapping_key);
	__type(value, struct translation);
} translations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct block_key);
	__type(value, struct block);
} blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct uplink_config);
} uplink SEC(".maps");

#endif
