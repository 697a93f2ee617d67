/* SPDX-License-Identifier: GPL-2.0-only */
/* Is this for one of the host's services, and for which? What they are: formats/services.h. */
#ifndef ROOKERY_SERVICE_H
#define ROOKERY_SERVICE_H

#include "formats/services.h"
#include "stages/interface.h"
#include "stages/unicast.h"

enum service_address {
	SERVICES_IPV4 = 0xa9fea900,        /* 169.254.169.0 */
	SERVICES_IPV6 = 0xfd000ec2,        /* fd00:ec2:: begins so */
	EVERYBODY_IPV4 = 0xffffffff,       /* 255.255.255.255 */
	ALL_DHCP_AGENTS = 0x00010002,      /* ff02::1:2 ends so */
};

/* What is asked. */
struct request {
	__u32 service;                     /* enum service */
	__u32 asked;                       /* enum asked_at */
};

static __always_inline bool is_offered(__u32 service, __u8 protocol, __be16 port)
{
	bool udp = protocol == IPPROTO_UDP, tcp = protocol == IPPROTO_TCP;

	if (service == SERVICE_METADATA)
		return tcp && port == bpf_htons(PORT_METADATA);
	if (service == SERVICE_DNS)
		return (tcp || udp) && port == bpf_htons(PORT_DNS);
	if (service == SERVICE_TIME)
		return udp && port == bpf_htons(PORT_TIME);
	if (service == SERVICE_DHCP)
		return udp && port == bpf_htons(PORT_DHCP);
	return service == SERVICE_DHCPV6 && udp && port == bpf_htons(PORT_DHCPV6);
}

static __always_inline __u32 service_at_ipv4(const struct address *address)
{
	__u32 word = bpf_ntohl(address->word[3]);

	if (word == (SERVICES_IPV4 | 254))
		return SERVICE_METADATA;
	if (word == (SERVICES_IPV4 | 253))
		return SERVICE_DNS;
	return word == (SERVICES_IPV4 | 123) ? SERVICE_TIME : 0;
}

/* Of any service, those that guests cannot address so among them. */
static __always_inline bool is_service_ipv6(const struct address *address)
{
	return address->word[0] == bpf_htonl(SERVICES_IPV6) && !address->word[1] && !address->word[2];
}

/* The service whose own address this is; 0: nobody's. */
static __always_inline __u32 service_at(const struct address *address)
{
	__u32 last = bpf_ntohl(address->word[3]);

	if (is_ipv4(address))
		return service_at_ipv4(address);
	if (!is_service_ipv6(address))
		return 0;
	return last == SERVICE_METADATA || last == SERVICE_DNS || last == SERVICE_TIME ? last : 0;
}

static __always_inline bool is_everybody(const struct address *address)
{
	return is_ipv4(address) && address->word[3] == bpf_htonl(EVERYBODY_IPV4);
}

static __always_inline bool is_to_dhcp(const struct packet *packet, const struct interface_config *interface)
{
	return packet->source_port == bpf_htons(PORT_DHCP_CLIENT) &&
	       (is_everybody(&packet->destination) || same_address(&packet->destination, &interface->router));
}

static __always_inline bool is_to_dhcpv6(const struct packet *packet, const struct interface_config *interface)
{
	const struct address *to = &packet->destination;

	return packet->source_port == bpf_htons(PORT_DHCPV6_CLIENT) && has_ipv6(interface) &&
	       to->word[0] == bpf_htonl(0xff020000) && !to->word[1] && !to->word[2] &&
	       to->word[3] == bpf_htonl(ALL_DHCP_AGENTS);
}

/* Who asks for an address has none yet, and asks everybody: this comes before both are judged. The port first: hardly any
 * other packet has it. */
static __always_inline bool asks_for_address(const struct packet *packet, const struct interface_config *interface)
{
	if (packet->destination_port != bpf_htons(PORT_DHCP) && packet->destination_port != bpf_htons(PORT_DHCPV6))
		return false;
	if (packet->protocol != IPPROTO_UDP)
		return false;
	return packet->destination_port == bpf_htons(PORT_DHCP) ? is_to_dhcp(packet, interface) :
								  is_to_dhcpv6(packet, interface);
}

static __always_inline bool is_to_resolver(const struct packet *packet, const struct interface_config *interface)
{
	return packet->destination_port == bpf_htons(PORT_DNS) &&
	       same_address(&packet->destination, &interface->resolver);
}

/* Whatever is link-local stays at the host: no group, no network ACL and no route is asked. */
static __always_inline bool stays_at_host(const struct packet *packet, const struct interface_config *interface)
{
	return is_link_local(&packet->destination) || is_to_resolver(packet, interface);
}

/* Of what asks_for_address(). */
static __always_inline struct request request_for_address(const struct packet *packet)
{
	if (!is_ipv4(&packet->destination))
		return (struct request){ SERVICE_DHCPV6, ASKED_SERVICE };
	return (struct request){ SERVICE_DHCP, is_everybody(&packet->destination) ? ASKED_EVERYBODY : ASKED_ROUTER };
}

/* Of what stays_at_host(). Of a later fragment the port is not known. */
static __always_inline enum verdict find_service(const struct packet *packet, struct request *request)
{
	bool ported = packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP;

	*request = (struct request){ SERVICE_DNS, ASKED_RESOLVER };
	if (!is_link_local(&packet->destination))
		return CONTINUE;
	*request = (struct request){ service_at(&packet->destination), ASKED_SERVICE };
	if (request->service && packet->fragment == FRAGMENT_LATER && ported)
		return DROP_SERVICE_FRAGMENT;
	return is_offered(request->service, packet->protocol, packet->destination_port) ? CONTINUE : DROP_LINK_LOCAL;
}

#endif
