/* SPDX-License-Identifier: GPL-2.0-only */
/* Sends what this node keeps of the last flow of the list (flow_rest.bpf.c) to the other node that is to keep it: heartbeats tell of flows that are
 * used, and a node that lost its memory, or is new in the ring, must hear of those that rest as well. Never attached: the agent runs it by
 * BPF_PROG_TEST_RUN, on a frame of the right length, once for each flow; the frame becomes the copy. */
#include "hull/copy.h"
#include "stages/resting.h"
#include "stages/substrate.h"

char program_license[] SEC("license") = "GPL";

static __always_inline bool take_key(struct flow_key *key)
{
	const __u32 only = 0;
	__u32 *left = bpf_map_lookup_elem(&resting_left, &only);
	const struct flow_key *last;
	__u32 at;

	if (!left || !*left)
		return false;
	at = --*left;
	last = bpf_map_lookup_elem(&resting, &at);
	if (last)
		*key = *last;
	return last;
}

static __always_inline const struct tracker *next_resting(struct course *course)
{
	const struct tracker *row;

	if (!take_key(&course->key))
		return 0;
	row = bpf_map_lookup_elem(&trackers, &course->key);
	if (!row || row->pending || row->deadline <= course->now)
		return 0;
	course->flags = is_handed_out(&course->key, &row->directive) ? CHAIN_HANDED_OUT : 0;
	return row;
}

static __always_inline bool write_copy(hull_t *hull, struct packet *packet, struct course *course, const struct tracker *row,
				       const struct substrate_config *config)
{
	const struct cell_node *node = node_at(course, place_of_copy(course));

	if (!node)
		return false;
	packet->outer_destination = node->address;
	return write_resting_head(hull, packet, course, config) && write_resting_option(hull, course, row) &&
	       write_resting(hull, &course->key);
}

SEC("tc")
int flow_copy(hull_t *hull)
{
	const struct substrate_config *config = find_substrate();
	const struct cell_config *cell = find_cell();
	struct packet *packet = blank_packet();
	struct course *course = cell ? begin_course(cell) : 0;
	const struct tracker *row;

	if (!config || !packet || !course || length_of(hull) != RESTING_FRAME)
		return TC_ACT_SHOT;
	row = next_resting(course);
	if (!row || !write_copy(hull, packet, course, row, config))
		return TC_ACT_SHOT;
	return send_copy(hull, packet, config) ? TC_ACT_OK : TC_ACT_UNSPEC;
}
