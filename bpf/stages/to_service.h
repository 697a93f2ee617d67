/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a guest's question get to the services? No rule and no route is asked: they belong to the wire, not to the VPC. */
#ifndef ROOKERY_TO_SERVICE_H
#define ROOKERY_TO_SERVICE_H

#include "stages/caller.h"
#include "stages/service_budget.h"
#include "stages/translate.h"

static __always_inline const struct services_config *find_services(void)
{
	const __u32 only = 0;
	const struct services_config *found = bpf_map_lookup_elem(&services, &only);

	return found && found->ifindex ? found : 0;
}

/* A service's socket would never see the rest of it, or not what was meant. */
static __always_inline enum verdict refuse_unusual(const struct packet *packet, const struct interface_config *interface)
{
	if (packet->fragment != FRAGMENT_NONE)
		return DROP_SERVICE_FRAGMENT;
	if (is_ipv4(&packet->source) ? packet->head.ip.ihl * 4 != sizeof(struct iphdr) :
				       packet->head.ipv6.next != packet->protocol)
		return DROP_SERVICE_OPTIONS;
	return packet->largest > interface->mtu ? DROP_TOO_BIG : CONTINUE;
}

static __always_inline enum verdict give_to_service(struct __sk_buff *skb, struct packet *packet,
						    const struct interface_config *interface, __u32 service,
						    const struct address *caller)
{
	const struct services_config *services = find_services();
	struct new_addresses new = { .source = *caller };
	enum verdict verdict;

	if (!services)
		return DROP_NOT_CONFIGURED;
	if ((verdict = refuse_unusual(packet, interface)))
		return verdict;
	if ((verdict = spend_budget(packet, interface->interface)))
		return verdict;
	new.destination = (struct address){ .word = { bpf_htonl(SERVICES_IPV6), 0, 0, bpf_htonl(service) } };
	__builtin_memcpy(new.to, services->mac, ETH_ALEN);
	__builtin_memcpy(new.from, services->host_mac, ETH_ALEN);
	if (!translate_to_ipv6(skb, packet, &new))
		return DROP_ENCAPSULATION;
	tell(packet, STEP_SERVED, SERVED, service);
	packet->target = services->ifindex;
	packet->action = bpf_redirect(services->ifindex, 0);
	return SERVED;
}

/* Out of line, as all of this: other packets need its instructions and its stack for themselves. */
static __noinline enum verdict serve_address(struct __sk_buff *skb, struct packet *packet,
					     const struct interface_config *interface)
{
	struct request request = request_for_address(packet);
	struct address caller;
	enum verdict verdict;

	if ((verdict = find_addressee(packet, interface, &request, &caller)))
		return verdict;
	return give_to_service(skb, packet, interface, request.service, &caller);
}

static __noinline enum verdict serve(struct __sk_buff *skb, struct packet *packet, const struct interface_config *interface)
{
	struct request request;
	struct address caller;
	enum verdict verdict;

	if ((verdict = find_service(packet, &request)))
		return verdict;
	if ((verdict = find_caller(packet, interface, &request, &caller)))
		return verdict;
	return give_to_service(skb, packet, interface, request.service, &caller);
}

#endif
