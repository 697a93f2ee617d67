/* SPDX-License-Identifier: GPL-2.0-only */
/* Forgets the flows whose time is over. Never attached: the agent runs it by BPF_PROG_TEST_RUN, every second or so. */
#include "stages/packet.h"
#include "stages/tables.h"

char program_license[] SEC("license") = "GPL";

struct sweep {
	__u64 now;
	__u32 held;
	__u32 forgotten;
};

/* A flow that lasted until the interface's allowance was written anew is not counted there. */
static __always_inline void give_back(struct allowance *allowance)
{
	if (allowance && (__s32)__sync_fetch_and_sub(&allowance->tracked, 1) <= 0)
		__sync_fetch_and_add(&allowance->tracked, 1);
}

/* Without an allowance there is no interface any more. */
static long sweep_one(void *map, const struct connection_key *key, const struct connection *row, struct sweep *sweep)
{
	struct allowance *allowance = bpf_map_lookup_elem(&allowances, &key->interface);

	if (allowance && row->deadline > sweep->now) {
		sweep->held++;
		return 0;
	}
	if (bpf_map_delete_elem(map, key))
		return 0;
	give_back(allowance);
	sweep->forgotten++;
	return 0;
}

SEC("tc")
int connection_sweep(struct __sk_buff *skb)
{
	struct sweep sweep = { .now = bpf_ktime_get_coarse_ns() };

	bpf_for_each_map_elem(&connections, sweep_one, &sweep, 0);
	skb->cb[SWEEP_HELD] = sweep.held;
	skb->cb[SWEEP_FORGOTTEN] = sweep.forgotten;
	return TC_ACT_OK;
}
