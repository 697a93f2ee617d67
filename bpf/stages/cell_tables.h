/* SPDX-License-Identifier: GPL-2.0-only */
/* What do the programs of a cell's node know beyond tables.h? Of what host_tables.h has they ask for rules, fragments and edges. */
#ifndef ROOKERY_CELL_TABLES_H
#define ROOKERY_CELL_TABLES_H

#include "formats/cell.h"
#include "stages/host_tables.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cell_config);
} cell SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CELL_HALVES * CELL_NODES_MAX);
	__type(key, __u32);
	__type(value, struct cell_node);
} cell_nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cell_living SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CELL_NODES_MAX);
	__type(key, __u32);
	__type(value, struct cell_presence);
} cell_presence SEC(".maps");

/* Raised after every change of what packets are asked for; 0: no agent does that. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} world SEC(".maps");

/* The loader sets the sizes of these: as many rows as the cell's file has, twice. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 13);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct attachment_key);
	__type(value, struct attachment);
} attachments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << 11);
	__type(key, __u32);
	__type(value, struct measures);
} measures SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 11);
	__type(key, __u32);
	__type(value, struct flows_held);
} flows_held SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 13);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct nat_address_key);
	__type(value, struct nat_address);
} nat_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 13);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct cell_service_key);
	__type(value, struct cell_service);
} cell_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CELL_HALVES);
	__type(key, __u32);
	__type(value, struct cell_choices);
} cell_choices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CELL_HALVES);
	__type(key, __u32);
	__type(value, struct cell_target);
} cell_targets SEC(".maps");

/* A cache: who is thrown out asks again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, struct flow_key);
	__type(value, struct cached_directive);
} directives SEC(".maps");

/* The truth: nobody is thrown out for others. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, struct tracker);
} trackers SEC(".maps");

enum cell_tables_constant {
	RESTING_MOST = 1 << 14,
};

/* Flows of which a copy is to be sent to another node, from the first row on: so many as `resting_left` says. No queue, for Linux 6.1 gives none
 * to a program that may sleep, as all that are run by name may. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RESTING_MOST);
	__type(key, __u32);
	__type(value, struct flow_key);
} resting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} resting_left SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 14);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct allowance);
} tenants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 12);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct leaving_key);
	__type(value, struct leaving);
} leaving SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct checks_config);
} checks SEC(".maps");

/* Without halves: no file says them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 15);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct check_way);
} check_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 15);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct check_way);
	__type(value, __u32);
} check_numbers SEC(".maps");

#endif
