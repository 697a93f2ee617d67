/* SPDX-License-Identifier: GPL-2.0-only */
/* What leads outside? */
#ifndef ROOKERY_UPLINK_H
#define ROOKERY_UPLINK_H

#include "stages/edge_tables.h"
#include "stages/packet.h"

static __always_inline const struct uplink_config *find_uplink(void)
{
	const __u32 only = 0;
	const struct uplink_config *found = bpf_map_lookup_elem(&uplink, &only);

	return found && found->ifindex ? found : 0;
}

#endif
