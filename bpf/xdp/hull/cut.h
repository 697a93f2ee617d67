/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a super-packet become single ones? Here none comes: a wire carries none. */
#ifndef ROOKERY_CUT_H
#define ROOKERY_CUT_H

#include "stages/packet.h"

static __always_inline enum verdict cut_by_kernel(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	(void)hull, (void)packet, (void)config;
	return DEFERRED;
}

#endif
