/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a copy of a packet leave while the packet itself goes on? Not from here: a frame is one packet, and becomes no two. TC gets what
 * must be copied, as it came. */
#ifndef ROOKERY_COPY_H
#define ROOKERY_COPY_H

#include "hull/depart.h"

static __always_inline bool can_copy(void)
{
	return false;
}

/* Never: it was deferred before. */
static __always_inline bool send_copy(hull_t *hull, const struct packet *packet, const struct substrate_config *config)
{
	(void)hull, (void)packet, (void)config;
	return false;
}

#endif
