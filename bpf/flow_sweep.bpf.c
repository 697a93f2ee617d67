/* SPDX-License-Identifier: GPL-2.0-only */
/* Forgets the flows of a cell whose time is over. Never attached: the agent runs it by BPF_PROG_TEST_RUN, every few seconds
 * (connection_sweep.bpf.c says why). Until then a row that is over takes its place, and its port. */
#include "stages/cell_tables.h"
#include "stages/packet.h"

char program_license[] SEC("license") = "GPL";

struct sweep {
	__u64 now;
	__u32 held;
	__u32 forgotten;
};

static __always_inline void give_back(__u32 number)
{
	struct allowance *tenant = bpf_map_lookup_elem(&tenants, &number);

	if (tenant && (__s32)__sync_fetch_and_sub(&tenant->tracked, 1) <= 0)
		__sync_fetch_and_add(&tenant->tracked, 1);
}

static long sweep_one(void *map, const struct flow_key *key, const struct tracker *row, struct sweep *sweep)
{
	__u32 tenant = row->tenant;

	if (row->deadline > sweep->now) {
		sweep->held++;
		return 0;
	}
	if (bpf_map_delete_elem(map, key))
		return 0;
	give_back(tenant);
	sweep->forgotten++;
	return 0;
}

SEC("syscall")
int flow_sweep(struct sweep_outcome *outcome)
{
	struct sweep sweep = { .now = bpf_ktime_get_ns() };

	bpf_for_each_map_elem(&trackers, sweep_one, &sweep, 0);
	outcome->held = sweep.held;
	outcome->forgotten = sweep.forgotten;
	return 0;
}
