/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel has cut for a node (hull/cut.h): TC ingress of its loopback. Each piece goes in at the node's door, as the whole did. */
#include "hull/again.h"
#include "stages/substrate.h"

char program_license[] SEC("license") = "GPL";

SEC("tc")
int hyperplane_cut(struct __sk_buff *skb)
{
	const struct substrate_config *config = find_substrate();
	__u32 mark = skb->mark;

	if (!config || (mark != CUT_FROM_WIRE && mark != CUT_FROM_HERE))
		return TC_ACT_UNSPEC;
	skb->mark = mark == CUT_FROM_HERE ? ENTERS_AGAIN : 0;
	return bpf_redirect(config->ifindex, BPF_F_INGRESS);
}
