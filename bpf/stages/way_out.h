/* SPDX-License-Identifier: GPL-2.0-only */
/* Which router outside gets it? The kernel knows, from what its neighbours announce. */
#ifndef ROOKERY_WAY_OUT_H
#define ROOKERY_WAY_OUT_H

#include "hull/depart.h"
#include "stages/kernel_routes.h"
#include "stages/uplink.h"

static __noinline enum verdict find_way_out(hull_t *hull, struct packet *packet, const struct uplink_config *uplink)
{
	bool too_large = packet->largest > uplink->mtu;
	struct bpf_fib_lookup answer = {};
	long result = ask_kernel(hull, packet, device_of(hull), &answer);

	if ((result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH) || answer.ifindex != uplink->ifindex)
		return DROP_NO_ROUTE;
	if (too_large && packet->dont_fragment)
		return DROP_TOO_BIG;
	return meet_router(packet, &answer, result == BPF_FIB_LKUP_RET_SUCCESS, too_large);
}

#endif
