/* SPDX-License-Identifier: GPL-2.0-only */
/* Where does an address of a VPC live? */
#ifndef ROOKERY_MAPPING_H
#define ROOKERY_MAPPING_H

#include "stages/report.h"

enum mapping_constant {
	DELEGATED_BITS = 32 + 8 * sizeof(struct address),   /* the VPC, and an address whole */
};

/* Out of line: it is rare. */
static __noinline const struct mapping *delegated_mapping_of(__u32 vni, const struct address *address)
{
	struct delegated_key key = { .prefix_length = DELEGATED_BITS, .vni = vni, .address = *address };

	return bpf_map_lookup_elem(&delegated, &key);
}

/* An address of its own is asked for first; a delegated prefix never holds one. */
static __always_inline const struct mapping *mapping_of(__u32 vni, const struct address *address)
{
	struct mapping_key key = { .vni = vni, .address = *address };
	const struct mapping *mapping = bpf_map_lookup_elem(&mappings, &key);

	return mapping ? mapping : delegated_mapping_of(vni, address);
}

static __always_inline const struct forwarder *forwarder_of(__u32 vni, __u32 interface)
{
	struct forwarder_key key = { .vni = vni, .interface = interface };

	return bpf_map_lookup_elem(&forwarders, &key);
}

#endif
