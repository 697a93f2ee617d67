/* SPDX-License-Identifier: GPL-2.0-only */
/* To which device of this node does it go? */
#ifndef ROOKERY_DEVICE_H
#define ROOKERY_DEVICE_H

#include "stages/packet.h"

/* The host's own answer, to the device on which it was asked. */
static __always_inline enum verdict send_back(hull_t *hull, struct packet *packet)
{
	packet->target = device_of(hull);
	packet->action = bpf_redirect(device_of(hull), 0);
	return ANSWERED;
}

/* To the guest behind a device of this host, past the host's side of it. */
static __always_inline void hand_over(struct packet *packet, __u32 ifindex, __u16 flags)
{
	packet->target = ifindex;
	packet->action = flags & INTERFACE_NO_PEER ? bpf_redirect(ifindex, 0) : bpf_redirect_peer(ifindex, 0);
}

#endif
