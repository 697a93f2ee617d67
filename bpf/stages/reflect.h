/* SPDX-License-Identifier: GPL-2.0-only */
/* Does a host ask whether this edge lives? */
#ifndef ROOKERY_REFLECT_H
#define ROOKERY_REFLECT_H

#include "stages/probe.h"
#include "stages/uplink.h"

/* An edge without an uplink, or about to go, keeps silent. */
static __always_inline enum verdict keep_silent(void)
{
	const struct uplink_config *uplink = find_uplink();

	if (!uplink)
		return DROP_NOT_CONFIGURED;
	return uplink->flags & UPLINK_CLOSING ? DROP_PROBE_UNANSWERED : CONTINUE;
}

static __always_inline enum verdict reflect(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	return answer_probe(hull, packet, config, keep_silent());
}

#endif
