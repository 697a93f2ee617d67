/* SPDX-License-Identifier: GPL-2.0-only */
/* Forgets the flows whose time is over. Never attached: the agent runs it by BPF_PROG_TEST_RUN, every few seconds. A system call's
 * program, for it walks millions of buckets: packets and other tasks go on meanwhile, as they would not beside a packet's. */
#include "stages/host_tables.h"
#include "stages/packet.h"

char program_license[] SEC("license") = "GPL";

enum sweep_constant {
	REMEMBERED = 64,
};

struct sweep {
	__u64 now;
	__u32 held;
	__u32 forgotten;
	__u32 there[REMEMBERED];           /* interfaces that have an allowance: rows are many, interfaces few */
};

/* Without an allowance there is no interface any more. */
static __always_inline bool is_there(struct sweep *sweep, __u32 interface)
{
	__u32 place = interface % REMEMBERED;

	if (sweep->there[place] == interface)
		return true;
	if (!bpf_map_lookup_elem(&allowances, &interface))
		return false;
	sweep->there[place] = interface;
	return true;
}

/* A flow that lasted until the interface's allowance was written anew is not counted there. */
static __always_inline void give_back(struct allowance *allowance)
{
	if (allowance && (__s32)__sync_fetch_and_sub(&allowance->tracked, 1) <= 0)
		__sync_fetch_and_add(&allowance->tracked, 1);
}

static long sweep_one(void *map, const struct connection_key *key, const struct connection *row, struct sweep *sweep)
{
	__u32 interface = key->interface;

	if (row->deadline > sweep->now && is_there(sweep, interface)) {
		sweep->held++;
		return 0;
	}
	if (bpf_map_delete_elem(map, key))
		return 0;
	give_back(bpf_map_lookup_elem(&allowances, &interface));
	sweep->forgotten++;
	return 0;
}

SEC("syscall")
int connection_sweep(struct sweep_outcome *outcome)
{
	struct sweep sweep = { .now = bpf_ktime_get_ns() };

	bpf_for_each_map_elem(&connections, sweep_one, &sweep, 0);
	outcome->held = sweep.held;
	outcome->forgotten = sweep.forgotten;
	return 0;
}
