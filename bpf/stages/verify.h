/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the inner source live where the packet came from? The sender's host is only a claim until the mapping agrees. */
#ifndef ROOKERY_VERIFY_H
#define ROOKERY_VERIFY_H

#include "stages/mapping.h"

static __always_inline enum verdict verify_source(const struct packet *packet, const struct mapping **found)
{
	const struct mapping *source = mapping_of(packet, &packet->source);

	*found = source;
	if (!source)
		return DROP_SOURCE_NOT_MAPPED;
	if (source->host != packet->outer_source)
		return DROP_SOURCE_NOT_AT_HOST;
	tell(packet, STEP_VERIFIED, CONTINUE, source->generation);
	return CONTINUE;
}

/* No packet of this host comes back to it over the substrate: who says so wants to pass for a local instance. */
static __always_inline enum verdict refuse_own_source(const struct packet *packet, const struct substrate_config *config)
{
	return packet->outer_source == config->address ? DROP_SOURCE_NOT_AT_HOST : CONTINUE;
}

#endif
