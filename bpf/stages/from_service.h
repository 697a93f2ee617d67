/* SPDX-License-Identifier: GPL-2.0-only */
/* Which guest does a service answer, and from where? The answer's addresses say it; nothing is remembered of the question. */
#ifndef ROOKERY_FROM_SERVICE_H
#define ROOKERY_FROM_SERVICE_H

#include "stages/caller.h"
#include "stages/device.h"
#include "stages/translate.h"

enum from_service_constant {
	FAMILIES_APART = sizeof(struct ipv6_header) - sizeof(struct iphdr),
};

/* A whole packet of a service, from its own address and port, to a caller. */
static __always_inline enum verdict find_answerer(const struct packet *packet, __u32 *service)
{
	*service = bpf_ntohl(packet->source.word[3]);
	if (!is_service_ipv6(&packet->source) || !is_offered(*service, packet->protocol, packet->source_port))
		return DROP_SERVICE_REPLY;
	if (packet->fragment != FRAGMENT_NONE || packet->head.ipv6.next != packet->protocol)
		return DROP_SERVICE_REPLY;
	return is_caller(&packet->destination) ? CONTINUE : DROP_SERVICE_REPLY;
}

/* The interface may be gone since it asked. */
static __always_inline enum verdict find_asker(struct packet *packet, const struct interface_config **found)
{
	__u32 number = bpf_ntohl(packet->destination.word[1]);
	const __u32 *device = bpf_map_lookup_elem(&interface_devices, &number);

	*found = device ? bpf_map_lookup_elem(&interfaces, device) : 0;
	if (!*found || (*found)->interface != number)
		return DROP_SERVICE_REPLY;
	packet->ifindex = *device;
	packet->vni = (*found)->vni;
	return CONTINUE;
}

/* False: the guest cannot have asked so. */
static __always_inline bool find_address_giver(const struct packet *packet, const struct interface_config *interface,
					       __u32 service, struct address *source)
{
	__u32 asked = asked_of(&packet->destination);

	if (service == SERVICE_DHCPV6) {
		*source = link_local_router();
		return has_ipv6(interface) && asked == ASKED_SERVICE &&
		       caller_source_of(&packet->destination) == CALLER_LINK_LOCAL &&
		       packet->destination_port == bpf_htons(PORT_DHCPV6_CLIENT);
	}
	*source = interface->router;
	return caller_source_of(&packet->destination) == CALLER_IPV4 && packet->destination.word[3] &&
	       (asked == ASKED_ROUTER || asked == ASKED_EVERYBODY) &&
	       packet->destination_port == bpf_htons(PORT_DHCP_CLIENT);
}

static __always_inline bool find_service_address(const struct packet *packet, const struct interface_config *interface,
						 __u32 service, struct address *source)
{
	__u32 family = caller_source_of(&packet->destination), asked = asked_of(&packet->destination);

	if (service == SERVICE_DNS && asked == ASKED_RESOLVER) {
		*source = interface->resolver;
		return family == CALLER_IPV4;
	}
	*source = packet->source;
	if (family == CALLER_IPV4)
		*source = ipv4_address(bpf_htonl(SERVICES_IPV4 | (service == SERVICE_METADATA ? 254 :
								  service == SERVICE_DNS ? 253 : 123)));
	return asked == ASKED_SERVICE && (family == CALLER_IPV4 || (family == CALLER_IPV6 && has_ipv6(interface)));
}

/* Where the guest sent its question, from there the answer comes. */
static __always_inline enum verdict find_way_back(const struct packet *packet, const struct interface_config *interface,
						  __u32 service, struct new_addresses *new)
{
	bool gives_addresses = service == SERVICE_DHCP || service == SERVICE_DHCPV6;

	if (gives_addresses ? !find_address_giver(packet, interface, service, &new->source) :
			      !find_service_address(packet, interface, service, &new->source))
		return DROP_SERVICE_REPLY;
	new->destination = guest_of(&packet->destination, interface);
	__builtin_memcpy(new->to, interface->mac, ETH_ALEN);
	__builtin_memcpy(new->from, interface->router_mac, ETH_ALEN);
	if (is_everybody(&new->destination))
		__builtin_memset(new->to, 0xff, ETH_ALEN);
	return CONTINUE;
}

static __always_inline enum verdict check_answer_size(const struct packet *packet, const struct interface_config *interface,
						      const struct new_addresses *new)
{
	__u32 smaller = is_ipv4(&new->destination) ? FAMILIES_APART : 0;

	return packet->largest - smaller > interface->mtu ? DROP_TOO_BIG : CONTINUE;
}

static __always_inline enum verdict answer_guest(struct __sk_buff *skb, struct packet *packet,
						 const struct interface_config *interface, __u32 service,
						 const struct new_addresses *new)
{
	bool done = is_ipv4(&new->destination) ? translate_to_ipv4(skb, packet, new) : translate_to_ipv6(skb, packet, new);

	if (!done)
		return DROP_DECAPSULATION;
	packet->source = new->source;
	packet->destination = new->destination;
	tell(packet, STEP_SERVICE_ANSWERED, CONTINUE, service);
	tell(packet, STEP_DELIVERED, DELIVERED, 0);
	hand_over(packet, packet->ifindex, interface->flags);
	return DELIVERED;
}

#endif
