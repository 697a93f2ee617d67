/* SPDX-License-Identifier: GPL-2.0-only */
/* Where does an address of this VPC live? */
#ifndef ROOKERY_MAPPING_H
#define ROOKERY_MAPPING_H

#include "stages/report.h"

static __always_inline const struct mapping *mapping_of(const struct packet *packet, const struct address *address)
{
	struct mapping_key key = { .vni = packet->vni, .address = *address };

	return bpf_map_lookup_elem(&mappings, &key);
}

static __always_inline enum verdict find_mapping(struct packet *packet, const struct mapping **found)
{
	*found = mapping_of(packet, &packet->destination);
	if (!*found)
		return DROP_NO_MAPPING;
	packet->outer_destination = (*found)->host;
	tell(packet, STEP_MAPPING_FOUND, CONTINUE, (*found)->generation);
	return CONTINUE;
}

#endif
