/* SPDX-License-Identifier: GPL-2.0-only */
/* How does the packet get outside? As any packet of the internet, from its public address. */
#ifndef ROOKERY_SEND_OUT_H
#define ROOKERY_SEND_OUT_H

#include "stages/decapsulate.h"
#include "stages/readdress.h"
#include "stages/way_out.h"

static __always_inline void leave_by(hull_t *hull, struct packet *packet, const struct uplink_config *uplink)
{
	if (packet->largest > uplink->mtu)
		depart_by_kernel(packet, uplink->ifindex);
	else
		depart(hull, packet, uplink->ifindex);
}

/* Behind find_way_out(). */
static __always_inline enum verdict send_out(hull_t *hull, struct packet *packet, const struct uplink_config *uplink)
{
	enum verdict verdict;

	if ((verdict = readdress(hull, packet, packet->vni, 0)))
		return verdict;
	if ((verdict = unwrap(hull, packet)))
		return verdict;
	if (!write_ends(hull, packet))
		return DROP_DECAPSULATION;
	tell(packet, STEP_SENT_OUTSIDE, SENT, 0);
	leave_by(hull, packet, uplink);
	return SENT;
}

#endif
