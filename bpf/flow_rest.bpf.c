/* SPDX-License-Identifier: GPL-2.0-only */
/* Which flows does this node keep of which no heartbeat came lately? Their keys are listed for flow_copy.bpf.c; what that has not sent of an
 * earlier list is found again. Never attached: the agent runs it by BPF_PROG_TEST_RUN. It may be interrupted by packets, whose scratch it
 * leaves alone. */
#include "stages/trackers.h"

char program_license[] SEC("license") = "GPL";

enum rest_constant {
	DECIDED_AT = 10,                   /* bits of a version that say little: the decider's place, and less than a microsecond */
};

struct search {
	__u64 now;
	__u32 slices;
	__u32 slice;
	__u32 found;
	__u32 left;
};

/* Who has decided nothing has nothing to say. */
static __always_inline bool rests(const struct tracker *row, __u64 now)
{
	__u64 heard = row->deadline - lifetime(&row->directive);

	return !row->pending && row->deadline > now && heard + CELL_COPIED_SECONDS * SECOND <= now;
}

static long look_at(__attribute__((unused)) void *map, const struct flow_key *key, const struct tracker *row, struct search *search)
{
	if ((row->directive.version >> DECIDED_AT) % search->slices != search->slice || !rests(row, search->now))
		return 0;
	if (search->found >= RESTING_MOST || bpf_map_update_elem(&resting, &search->found, key, BPF_ANY))
		search->left++;
	else
		search->found++;
	return 0;
}

SEC("syscall")
int flow_rest(struct rest_search *asked)
{
	const __u32 only = 0;
	struct search search = { .now = bpf_ktime_get_ns(), .slices = asked->slices ? asked->slices : 1, .slice = asked->slice };

	bpf_for_each_map_elem(&trackers, look_at, &search, 0);
	bpf_map_update_elem(&resting_left, &only, &search.found, BPF_ANY);
	asked->found = search.found;
	asked->left = search.left;
	return 0;
}
