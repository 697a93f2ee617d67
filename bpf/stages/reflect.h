/* SPDX-License-Identifier: GPL-2.0-only */
/* Does a host ask whether this edge lives? One without an uplink, or about to go, keeps silent. */
#ifndef ROOKERY_REFLECT_H
#define ROOKERY_REFLECT_H

#include "stages/probe.h"
#include "stages/uplink.h"

static __always_inline enum verdict reflect(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	const struct uplink_config *uplink = find_uplink();

	if (!uplink)
		return answer_probe(hull, packet, config, DROP_NOT_CONFIGURED);
	return answer_probe(hull, packet, config, uplink->flags & UPLINK_CLOSING ? DROP_PROBE_UNANSWERED : CONTINUE);
}

#endif
