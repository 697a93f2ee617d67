/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet get from one attachment of this very node to another? Not from here: the kernel has no neighbour with its own address,
 * so meet() defers the packet, and TC leads it through the node's own door. */
#ifndef ROOKERY_DOOR_H
#define ROOKERY_DOOR_H

#include "stages/verify.h"

static __always_inline void enter_again(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	(void)hull, (void)packet, (void)config;
}

/* XDP of the kernel's own, in front of a driver that has none, meets once more what TC leads through the door; TC knows it by its mark. */
static __always_inline enum verdict check_door(hull_t *hull, const struct packet *packet, const struct substrate_config *config)
{
	(void)hull;
	return refuse_own_source(packet, config) ? DEFERRED : CONTINUE;
}

#endif
