/* SPDX-License-Identifier: GPL-2.0-only */
/* Where is this node on the substrate? */
#ifndef ROOKERY_SUBSTRATE_H
#define ROOKERY_SUBSTRATE_H

#include "stages/packet.h"
#include "stages/tables.h"

static __always_inline const struct substrate_config *find_substrate(void)
{
	const __u32 only = 0;
	const struct substrate_config *found = bpf_map_lookup_elem(&substrate, &only);

	return found && found->address ? found : 0;
}

#endif
