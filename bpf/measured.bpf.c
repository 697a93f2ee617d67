/* SPDX-License-Identifier: GPL-2.0-only */
/* No program of any node, but of the bench (bench/hot.py): gives another program of its kind one packet after the other, each as it was
 * before that one changed it, so that the kernel can repeat a test run. */
#include "hull/room.h"
#include "stages/packet.h"

char program_license[] SEC("license") = "GPL";

enum measured_constant {
	FRAME_WORDS = 68,
	FRAMES = 1 << 16,
};

struct measured_frame {
	__u32 bytes;
	__u32 word[FRAME_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FRAMES);
	__type(key, __u32);
	__type(value, struct measured_frame);
} frames SEC(".maps");

/* Whose turn it is, of how many. */
struct round {
	__u32 next;
	__u32 frames;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct round);
} rounds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject SEC(".maps");

static __always_inline const struct measured_frame *next_frame(void)
{
	__u32 only = 0, number;
	struct round *round = bpf_map_lookup_elem(&rounds, &only);

	if (!round)
		return 0;
	number = round->next;
	round->next = number + 1 < round->frames ? number + 1 : 0;
	return bpf_map_lookup_elem(&frames, &number);
}

static __always_inline bool put_back(hull_t *hull, const struct measured_frame *frame)
{
	__u32 *to;

	if (!stretch(hull, (__s32)frame->bytes - (__s32)length_of(hull)))
		return false;
	to = (void *)(long)hull->data;
	for (__u32 i = 0; i < FRAME_WORDS; i++) {
		if ((void *)(to + i + 1) > (void *)(long)hull->data_end)
			return true;
		to[i] = frame->word[i];
	}
	return true;
}

SEC(HULL_SECTION)
int measured(hull_t *hull)
{
	const struct measured_frame *frame = next_frame();

	if (!frame || !put_back(hull, frame))
		return HULL_DROPS;
	bpf_tail_call(hull, &subject, 0);
	return HULL_DROPS;
}

/* What the above costs by itself. */
SEC(HULL_SECTION)
int nothing(hull_t *hull)
{
	(void)hull;
	return HULL_LEAVES;
}
