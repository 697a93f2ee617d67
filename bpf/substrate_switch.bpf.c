/* SPDX-License-Identifier: GPL-2.0-only */
/* A port that believes everybody: the switch of those whom the bench measures beside a region (bench/topology.py), which is a region's own in all but
 * that it asks nobody who he is. */
#include "stages/straight.h"

char program_license[] SEC("license") = "GPL";

SEC("tc")
int substrate_switch(struct __sk_buff *skb)
{
	struct ethhdr frame;

	return bpf_skb_load_bytes(skb, 0, &frame, sizeof(frame)) ? TC_ACT_UNSPEC : go_straight(skb, frame.h_dest);
}
