/* SPDX-License-Identifier: GPL-2.0-only */
/* Who speaks on this device? */
#ifndef ROOKERY_INTERFACE_H
#define ROOKERY_INTERFACE_H

#include "stages/packet.h"
#include "stages/tables.h"

static __always_inline enum verdict find_interface(struct packet *packet, const struct interface_config **found)
{
	*found = bpf_map_lookup_elem(&interfaces, &packet->ifindex);
	if (!*found)
		return DROP_NOT_CONFIGURED;
	packet->vni = (*found)->vni;
	packet->origin_vni = (*found)->vni;
	packet->origin_interface = (*found)->interface;
	return CONTINUE;
}

static __always_inline bool has_ipv6(const struct interface_config *interface)
{
	return interface->router_ipv6.word[0];
}

/* The host's own answer, to the device on which it was asked. */
static __always_inline enum verdict send_back(struct __sk_buff *skb, struct packet *packet)
{
	packet->target = skb->ifindex;
	packet->action = bpf_redirect(skb->ifindex, 0);
	return ANSWERED;
}

/* To the guest behind a device of this host, past the host's side of it. */
static __always_inline void hand_over(struct packet *packet, __u32 ifindex, __u16 flags)
{
	packet->target = ifindex;
	packet->action = flags & INTERFACE_NO_PEER ? bpf_redirect(ifindex, 0) : bpf_redirect_peer(ifindex, 0);
}

static __always_inline const struct substrate_config *find_substrate(void)
{
	const __u32 only = 0;
	const struct substrate_config *found = bpf_map_lookup_elem(&substrate, &only);

	return found && found->address ? found : 0;
}

#endif
