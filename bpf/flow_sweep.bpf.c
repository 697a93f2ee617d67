/* SPDX-License-Identifier: GPL-2.0-only */
/* Forgets the flows of a cell whose time is over, and counts the others. Never attached: the agent runs it by BPF_PROG_TEST_RUN, every few seconds
 * (connection_sweep.bpf.c says why). Until then a row that is over takes its place, and its port. */
#include "stages/cell_tables.h"
#include "stages/gate.h"

char program_license[] SEC("license") = "GPL";

struct sweep {
	__u64 now;
	__u32 held;
	__u32 forgotten;
	__u32 cached;
	__u32 leaving;
};

static __always_inline void give_back(__u32 number)
{
	struct allowance *tenant = bpf_map_lookup_elem(&tenants, &number);

	if (tenant && (__s32)__sync_fetch_and_sub(&tenant->tracked, 1) <= 0)
		__sync_fetch_and_add(&tenant->tracked, 1);
}

/* Answers come to the address that the flow left by. */
static __always_inline void count_leaving(const struct flow_key *key, const struct tracker *row)
{
	struct leaving_key address = { key->vni, key->interface, key->destination };
	struct leaving *found;

	if (row->pending || row->directive.flags & DIRECTIVE_OUTWARD)
		return;
	found = bpf_map_lookup_elem(&leaving, &address);
	if (found)
		found->flows++;
}

static long sweep_one(void *map, const struct flow_key *key, const struct tracker *row, struct sweep *sweep)
{
	__u32 tenant = row->tenant;

	if (row->deadline > sweep->now) {
		sweep->held++;
		if (sweep->leaving)
			count_leaving(key, row);
		return 0;
	}
	if (bpf_map_delete_elem(map, key))
		return 0;
	give_back(tenant);
	sweep->forgotten++;
	return 0;
}

/* Nobody deletes them: what was not used for so long is not counted any more. */
static long count_cached(__attribute__((unused)) void *map, __attribute__((unused)) const struct flow_key *key,
			 const struct cached_directive *row, struct sweep *sweep)
{
	if (row->seen + row->directive.idle_seconds * SECOND > sweep->now)
		sweep->cached++;
	return 0;
}

SEC("syscall")
int flow_sweep(struct flow_sweep_outcome *outcome)
{
	struct sweep sweep = { .now = bpf_ktime_get_ns(), .leaving = outcome->leaving };

	bpf_for_each_map_elem(&trackers, sweep_one, &sweep, 0);
	outcome->held = sweep.held;
	outcome->forgotten = sweep.forgotten;
	bpf_for_each_map_elem(&directives, count_cached, &sweep, 0);
	outcome->cached = sweep.cached;
	return 0;
}
