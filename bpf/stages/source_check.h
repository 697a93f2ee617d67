/* SPDX-License-Identifier: GPL-2.0-only */
/* May this interface speak as whom it claims to be? */
#ifndef ROOKERY_SOURCE_CHECK_H
#define ROOKERY_SOURCE_CHECK_H

#include "stages/mapping.h"

static __always_inline enum verdict check_source_mac(const struct packet *packet,
						     const struct interface_config *interface)
{
	return same_mac(packet->head.frame.h_source, interface->mac) ? CONTINUE : DROP_SOURCE_MAC;
}

/* The primary address is fixed for life; the others come and go, and the mapping knows them. */
static __always_inline bool owns(const struct packet *packet, const struct interface_config *interface,
				 const struct address *address)
{
	const struct mapping *mapping;

	if (same_address(address, &interface->primary))
		return true;
	mapping = mapping_of(packet->vni, address);
	return mapping && mapping->interface == interface->interface;
}

static __always_inline enum verdict check_source_address(const struct packet *packet,
							 const struct interface_config *interface)
{
	if (interface->flags & INTERFACE_SOURCE_DEST_CHECK) {
		if (!owns(packet, interface, &packet->source))
			return DROP_SOURCE_ADDRESS;
		tell(packet, STEP_SOURCE_CHECKED, CONTINUE, 0);
	}
	return CONTINUE;
}

#endif
