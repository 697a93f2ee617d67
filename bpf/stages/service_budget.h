/* SPDX-License-Identifier: GPL-2.0-only */
/* Has the interface sent services as many packets as it may? One tenant's load must cost no other's. */
#ifndef ROOKERY_SERVICE_BUDGET_H
#define ROOKERY_SERVICE_BUDGET_H

#include "formats/services.h"
#include "stages/gate.h"
#include "stages/host_tables.h"

enum budget_constant {
	BUDGET_SECOND_SHIFT = 32,
};

/* So many packets in this second, with these. A clock that another CPU reads a little earlier takes no second back. */
static __always_inline __u32 count_packets(struct service_budget *budget, __u64 second, __u32 packets)
{
	__u64 before = budget->second_and_packets, begun = second << BUDGET_SECOND_SHIFT | packets;

	if (before >> BUDGET_SECOND_SHIFT < second &&
	    __sync_val_compare_and_swap(&budget->second_and_packets, before, begun) == before)
		return packets;
	return (__u32)__sync_fetch_and_add(&budget->second_and_packets, packets) + packets;
}

/* As count_packets(), but nobody notices. */
static __always_inline __u32 count_what_if(const struct service_budget *budget, __u64 second, __u32 packets)
{
	__u64 before = budget->second_and_packets;

	return before >> BUDGET_SECOND_SHIFT < second ? packets : (__u32)before + packets;
}

static __always_inline enum verdict spend_budget(const struct packet *packet, __u32 interface)
{
	struct service_budget *budget = bpf_map_lookup_elem(&service_budgets, &interface);
	__u64 second = bpf_ktime_get_coarse_ns() / SECOND;
	__u32 packets;

	if (!budget)
		return DROP_NOT_CONFIGURED;
	packets = packet->what_if ? count_what_if(budget, second, packet->segments) :
				    count_packets(budget, second, packet->segments);
	return packets > SERVICE_PACKETS ? DROP_SERVICE_ALLOWANCE : CONTINUE;
}

#endif
