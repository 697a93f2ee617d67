/* SPDX-License-Identifier: GPL-2.0-only */
/* How does the packet get to the other host? Wrapped in Geneve, to a neighbour on the substrate. */
#ifndef ROOKERY_ENCAPSULATE_H
#define ROOKERY_ENCAPSULATE_H

#include "hull/room.h"
#include "stages/wrap.h"

static __noinline enum verdict encapsulate(hull_t *hull, struct packet *packet,
					   const struct next_hop *hop, const struct substrate_config *config)
{
	return grow(hull, packet) ? wrap(hull, packet, hop, config) : DROP_ENCAPSULATION;
}

#endif
