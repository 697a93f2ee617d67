/* SPDX-License-Identifier: GPL-2.0-only */
/* A public address of this very region was meant: how does the packet get there without ever leaving? */
#ifndef ROOKERY_TURN_BACK_H
#define ROOKERY_TURN_BACK_H

#include "stages/decapsulate.h"
#include "stages/readdress.h"
#include "stages/way_in.h"
#include "stages/wrap.h"

/* From the source's public address to the destination's private one: translated as if it had been outside. */
static __noinline enum verdict turn_back(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	__u32 left = packet->origin_vni;
	struct next_hop hop = {};
	enum verdict verdict;

	if ((verdict = find_way_in(packet, config, &hop)))
		return verdict;
	if ((verdict = find_substrate_hop(hull, packet, config)))
		return verdict;
	if ((verdict = readdress(hull, packet, left, packet->vni)))
		return verdict;
	return stretch(hull, (__s32)OUTER_HEAD - (__s32)packet->offset) ? wrap(hull, packet, &hop, config) : DROP_ENCAPSULATION;
}

#endif
