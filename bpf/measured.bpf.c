/* SPDX-License-Identifier: GPL-2.0-only */
/* No program of any node, but of the bench (bench/hot.py): gives another XDP program one packet after the other, each as it was before that
 * one changed it, so that the kernel can repeat a test run. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char program_license[] SEC("license") = "GPL";

enum measured_constant {
	FRAME_WORDS = 40,
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

static __always_inline int put_back(struct xdp_md *ctx, const struct measured_frame *frame)
{
	__s32 longer = (__s32)(ctx->data_end - ctx->data) - (__s32)frame->bytes;
	__u32 *to;

	if (longer && bpf_xdp_adjust_head(ctx, longer))
		return -1;
	to = (void *)(long)ctx->data;
	for (__u32 i = 0; i < FRAME_WORDS; i++) {
		if ((void *)(to + i + 1) > (void *)(long)ctx->data_end)
			return 0;
		to[i] = frame->word[i];
	}
	return 0;
}

SEC("xdp.frags")
int measured(struct xdp_md *ctx)
{
	const struct measured_frame *frame = next_frame();

	if (!frame || put_back(ctx, frame))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

/* What the above costs by itself. */
SEC("xdp.frags")
int nothing(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}
