/* SPDX-License-Identifier: GPL-2.0-only */
/* Forgets the flows of a cell whose time is over, and counts the others. Never attached: the agent runs it by BPF_PROG_TEST_RUN, every few seconds
 * (connection_sweep.bpf.c says why). Until then a row that is over takes its place, and its port. */
#include "stages/measure.h"
#include "stages/rendezvous.h"
#include "stages/gate.h"

char program_license[] SEC("license") = "GPL";

struct sweep {
	__u64 now;
	__u32 held;
	__u32 closed;
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

/* Two nodes keep the row, and those that kept it before the ring changed may have it still: the first of today's counts it. */
static __always_inline bool is_first_keeper(struct course *course, const struct flow_key *key)
{
	course->key = *key;
	return (trackers_of_key(course, CELL_NODE_CURRENT) & 0xff) == course->self;
}

static __always_inline __u32 measured_of(const struct course *course, __u32 vni, __u32 interface)
{
	struct attachment_key key = { course->half, vni, interface };
	const struct attachment *found = bpf_map_lookup_elem(&attachments, &key);

	return found ? found->measured : 0;
}

/* Only sweeps write these, and one runs at a time. */
static __always_inline void count_held(__u32 measured, const struct flow_key *key, bool opens)
{
	struct flows_held *held = measured ? bpf_map_lookup_elem(&flows_held, &measured) : 0;

	if (!held)
		return;
	if (key->protocol == IPPROTO_UDP)
		held->datagrams++;
	else if (key->protocol != IPPROTO_TCP)
		held->others++;
	else if (opens)
		held->opening++;
	else
		held->connections++;
}

/* Of the flow's first direction; a pending row has no other yet. */
static __always_inline bool is_of_first(const struct tracker *row)
{
	return row->pending || row->directive.flags & DIRECTIVE_OUTWARD;
}

/* What has been closed is no more active, though its port rests. */
static __always_inline void count_living(struct course *course, const struct flow_key *key, const struct tracker *row)
{
	bool opens = row->pending || row->directive.flags & DIRECTIVE_PROVISIONAL;
	__u32 measured;

	if (!is_of_first(row) || row->directive.flags & DIRECTIVE_CLOSING || !is_first_keeper(course, key))
		return;
	measured = measured_of(course, key->vni, key->interface);
	count_held(measured, key, opens);
	if (!row->pending && (row->directive.interface != key->interface || row->directive.vni != key->vni))
		count_held(measured_of(course, row->directive.vni, row->directive.interface), key, opens);
}

/* A connection that nobody has closed. */
static __always_inline void count_idle(struct course *course, const struct flow_key *key, const struct tracker *row)
{
	struct measures *measures;

	if (row->pending || key->protocol != IPPROTO_TCP)
		return;
	if ((row->directive.flags & (DIRECTIVE_OUTWARD | DIRECTIVE_PROVISIONAL | DIRECTIVE_CLOSING)) != DIRECTIVE_OUTWARD)
		return;
	if (!is_first_keeper(course, key))
		return;
	measures = measures_of(measured_of(course, key->vni, key->interface));
	if (measures)
		count_in(measures, MEASURE_IDLE, 1);
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

/* Its port rests: nobody waits for it. */
static __always_inline bool has_closed(const struct tracker *row, __u64 now)
{
	return row->directive.flags & DIRECTIVE_CLOSING && row->deadline <= now + (CELL_REST_SECONDS - CELL_CLOSED_SECONDS) * SECOND;
}

static long sweep_one(void *map, const struct flow_key *key, const struct tracker *row, struct sweep *sweep)
{
	struct course *course = this_course();
	__u32 tenant = row->tenant;

	if (row->deadline > sweep->now) {
		bool closed = has_closed(row, sweep->now);

		sweep->held++;
		sweep->closed += closed;
		if (course && course->epoch)
			count_living(course, key, row);
		if (sweep->leaving && !closed)
			count_leaving(key, row);
		return 0;
	}
	if (course && course->epoch)
		count_idle(course, key, row);
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
	const struct cell_config *config = find_cell();
	struct course *course = this_course();

	if (config)
		blank_course(config);
	else if (course)
		course->epoch = 0;

	bpf_for_each_map_elem(&trackers, sweep_one, &sweep, 0);
	outcome->held = sweep.held;
	outcome->closed = sweep.closed;
	outcome->forgotten = sweep.forgotten;
	bpf_for_each_map_elem(&directives, count_cached, &sweep, 0);
	outcome->cached = sweep.cached;
	return 0;
}
