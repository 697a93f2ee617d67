/* SPDX-License-Identifier: GPL-2.0-only */
/* May it come in? What claims to be from outside must look so. */
#ifndef ROOKERY_OUTSIDER_H
#define ROOKERY_OUTSIDER_H

#include "stages/internet.h"
#include "stages/public_address.h"

/* Through a gateway, to outside. */
static __always_inline enum verdict refuse_private_destination(const struct packet *packet,
							       const struct substrate_config *config)
{
	if (!is_on_internet(&packet->destination) || is_on_substrate(&packet->destination, config))
		return DROP_PRIVATE_DESTINATION;
	return CONTINUE;
}

/* Packets from one public address of the region to another never are outside: who says so there forges. */
static __always_inline enum verdict refuse_private_source(const struct packet *packet, const struct substrate_config *config)
{
	if (!is_on_internet(&packet->source) || is_on_substrate(&packet->source, config) || is_public_address(&packet->source))
		return DROP_PRIVATE_SOURCE;
	return CONTINUE;
}

#endif
