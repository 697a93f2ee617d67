/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a guest look to a service, and which guest is meant by an answer? Both follow from the address alone. */
#ifndef ROOKERY_CALLER_H
#define ROOKERY_CALLER_H

#include "stages/router.h"
#include "stages/service.h"
#include "stages/source_check.h"

static __always_inline struct address caller_of(const struct request *request, const struct interface_config *interface,
						__u32 source, __be32 high, __be32 low)
{
	return (struct address){ .word = { bpf_htonl((__u32)CALLER_PREFIX << 16 | source << 8 | request->asked),
					   bpf_htonl(interface->interface), high, low } };
}

/* All of a guest's global addresses are in its subnet's /64: of another one the caller's address would not hold enough to
 * answer to. */
static __always_inline bool is_in_subnet(const struct address *address, const struct interface_config *interface)
{
	return address->word[0] == interface->router_ipv6.word[0] && address->word[1] == interface->router_ipv6.word[1];
}

/* fe80::/64: RFC 4291, 2.5.6. Which one a guest gives itself is its own affair; only the router's are taken. */
static __always_inline bool may_ask_for_address_as(const struct packet *packet, const struct interface_config *interface)
{
	const struct address *source = &packet->source;

	if (is_ipv4(source))
		return !source->word[3] || owns(packet, interface, source);
	return source->word[0] == bpf_htonl(0xfe800000) && !source->word[1] && !is_router(interface, source);
}

/* Who asks a service that gives addresses. Source/destination check or not: it gives them to one interface. */
static __always_inline enum verdict find_addressee(const struct packet *packet, const struct interface_config *interface,
						   const struct request *request, struct address *caller)
{
	__u32 source = is_ipv4(&packet->source) ? CALLER_IPV4 : CALLER_LINK_LOCAL;
	__be32 high = is_ipv4(&packet->source) ? 0 : packet->source.word[2];

	if (!may_ask_for_address_as(packet, interface))
		return DROP_SOURCE_ADDRESS;
	tell(packet, STEP_SOURCE_CHECKED, CONTINUE, 0);
	*caller = caller_of(request, interface, source, high, packet->source.word[3]);
	return CONTINUE;
}

/* Who asks any other service. Its source was checked before, or need not be. */
static __always_inline enum verdict find_caller(const struct packet *packet, const struct interface_config *interface,
						const struct request *request, struct address *caller)
{
	bool ipv4 = is_ipv4(&packet->source);
	enum verdict verdict;

	if ((verdict = refuse_link_local(packet)))
		return verdict;
	if ((verdict = refuse_family(packet, interface)))
		return verdict;
	if (!ipv4 && !is_in_subnet(&packet->source, interface))
		return DROP_SOURCE_ADDRESS;
	*caller = caller_of(request, interface, ipv4 ? CALLER_IPV4 : CALLER_IPV6, ipv4 ? 0 : packet->source.word[2],
			    packet->source.word[3]);
	return CONTINUE;
}

static __always_inline bool is_caller(const struct address *address)
{
	return bpf_ntohl(address->word[0]) >> 16 == CALLER_PREFIX;
}

static __always_inline __u32 caller_source_of(const struct address *caller)
{
	return bpf_ntohl(caller->word[0]) >> 8 & 0xff;
}

static __always_inline __u32 asked_of(const struct address *caller)
{
	return bpf_ntohl(caller->word[0]) & 0xff;
}

/* The guest's own address. */
static __always_inline struct address guest_of(const struct address *caller, const struct interface_config *interface)
{
	__u32 source = caller_source_of(caller);

	if (source == CALLER_IPV4)
		return ipv4_address(caller->word[3]);
	if (source == CALLER_IPV6)
		return (struct address){ .word = { interface->router_ipv6.word[0], interface->router_ipv6.word[1],
						   caller->word[2], caller->word[3] } };
	return (struct address){ .word = { bpf_htonl(0xfe800000), 0, caller->word[2], caller->word[3] } };
}

#endif
