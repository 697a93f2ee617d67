/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has this IPv6 address, and which router is there? The host answers, as it does ARP: no neighbour discovery (RFC 4861)
 * ever leaves it. */
#ifndef ROOKERY_NEIGHBOUR_H
#define ROOKERY_NEIGHBOUR_H

#include "stages/arp.h"
#include "stages/router.h"
#include "stages/unicast.h"

enum neighbour_constant {
	NEIGHBOUR_HOP_LIMIT = 255,         /* no router passed it on */
	NEIGHBOUR_SLOTS = 4,               /* 8-octet units of options that a question may have: Linux sends one */
	OPTION_SOURCE_MAC = 1,
	OPTION_TARGET_MAC = 2,
	OPTION_PREFIX = 3,
	OPTION_MTU = 5,
	ADVERTISED_SOLICITED = 0x40000000,
	ADVERTISED_OVERRIDE = 0x20000000,
	ADVERTISED_ROUTER = 0x80000000,
	ROUTER_MANAGED = 0x80,             /* addresses come by DHCPv6 */
	ROUTER_HOP_LIMIT = 64,
	ROUTER_LIFETIME = 1800,            /* seconds: RFC 4861, 6.2.1, as are the two below */
	PREFIX_VALID = 2592000,
	PREFIX_PREFERRED = 604800,
	PREFIX_ON_LINK = 0x80,             /* and not autonomous: no address is made of it */
	PREFIX_LENGTH = 64,
};

struct neighbour_option {
	__u8 type;
	__u8 length;                       /* 8-octet units */
	__u8 mac[ETH_ALEN];
};

struct neighbour_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 flags;                      /* reserved in a question */
};

/* Questions, from IP on; options follow. */
struct router_question {
	struct ipv6_header ip;
	struct neighbour_header header;
};

struct neighbour_question {
	struct ipv6_header ip;
	struct neighbour_header header;
	struct address target;
};
_Static_assert(sizeof(struct neighbour_question) == 64, "RFC 4861: no holes");

/* Answers, from IP on. */
struct neighbour_answer {
	struct ipv6_header ip;
	struct neighbour_header header;
	struct address target;
	struct neighbour_option mac;
};

struct router_answer {
	struct ipv6_header ip;
	struct { __u8 type, code; __be16 checksum; __u8 hop_limit, flags; __be16 lifetime; __be32 reachable, again; } header;
	struct neighbour_option mac;
	struct { __u8 type, length; __be16 reserved; __be32 mtu; } mtu;
	struct { __u8 type, length, prefix_length, flags; __be32 valid, preferred, reserved; struct address prefix; } prefix;
};
_Static_assert(sizeof(struct neighbour_answer) == 72 && sizeof(struct router_answer) == 104, "RFC 4861: no holes");

static __always_inline bool is_unspecified(const struct address *address)
{
	return !(address->word[0] | address->word[1] | address->word[2] | address->word[3]);
}

/* Which link-local addresses a guest gives itself is its own affair, for none but the host ever sees them: only the router's
 * are taken. :: asks for a router, or whether an address is free. */
static __always_inline bool may_ask_as(const struct packet *packet, const struct interface_config *interface)
{
	if (is_unspecified(&packet->source))
		return true;
	if (is_link_local_ipv6(&packet->source))
		return !is_router(interface, &packet->source);
	return owns(packet, interface, &packet->source);
}

/* The question in one piece, or none: it is shorter than it must be, or longer than one can be. */
static __always_inline void *pull_question(struct __sk_buff *skb, __u32 least)
{
	void *data;

	if (skb->len > ETH_HLEN + sizeof(struct neighbour_question) + NEIGHBOUR_SLOTS * 8 ||
	    bpf_skb_pull_data(skb, skb->len))
		return 0;
	data = (void *)(long)skb->data + ETH_HLEN;
	return data + least > (void *)(long)skb->data_end ? 0 : data;
}

/* One packet, no fragment and no extension header (RFC 6980), that no router passed on. */
static __always_inline bool is_well_formed(const struct packet *packet, const struct ipv6_header *ip, __u32 least)
{
	__u32 bytes = sizeof(*ip) + bpf_ntohs(ip->payload);

	return ip->hop_limit == NEIGHBOUR_HOP_LIMIT && ip->next == IPPROTO_ICMPV6 && !packet->icmp_code &&
	       bytes >= least && bytes % 8 == 0;
}

/* The one that names the sender's MAC must name the interface's. Who has no address yet must not name one. */
static __always_inline enum verdict check_option(const struct packet *packet, const struct neighbour_option *option,
						 const struct interface_config *interface)
{
	if (option->type != OPTION_SOURCE_MAC)
		return CONTINUE;
	if (option->length != 1 || is_unspecified(&packet->source))
		return DROP_MALFORMED_NEIGHBOUR;
	return same_mac(option->mac, interface->mac) ? CONTINUE : DROP_SOURCE_MAC;
}

/* Options fill the packet exactly; `sum` is that of what stands before them. */
static __always_inline enum verdict check_options_and_sum(struct __sk_buff *skb, const struct packet *packet,
							  const struct interface_config *interface,
							  const struct ipv6_header *ip, __u32 least, __u32 sum)
{
	__u32 slots = (sizeof(*ip) + bpf_ntohs(ip->payload) - least) / 8, next = 0;
	const struct neighbour_option *option = (const void *)ip + least;
	enum verdict verdict;

	for (__u32 i = 0; i < NEIGHBOUR_SLOTS; i++, option++) {
		if (i >= slots)
			break;
		if ((void *)(option + 1) > (void *)(long)skb->data_end)
			return DROP_MALFORMED_NEIGHBOUR;
		sum = bpf_csum_diff(0, 0, (__be32 *)option, sizeof(*option), sum);
		if (i < next)
			continue;
		next = i + option->length;
		if (next == i || next > slots)
			return DROP_MALFORMED_NEIGHBOUR;
		if ((verdict = check_option(packet, option, interface)))
			return verdict;
	}
	return slots > NEIGHBOUR_SLOTS || fold(sum) ? DROP_MALFORMED_NEIGHBOUR : CONTINUE;
}

/* `question` is at least `least` bytes from IP on. */
static __always_inline enum verdict check_question(struct __sk_buff *skb, const struct packet *packet,
						   const struct interface_config *interface,
						   const struct ipv6_header *ip, __u32 least)
{
	__u32 sum;

	if (!is_well_formed(packet, ip, least))
		return DROP_MALFORMED_NEIGHBOUR;
	if (!may_ask_as(packet, interface))
		return DROP_SOURCE_ADDRESS;
	sum = icmpv6_sum(ip, ip + 1, least - sizeof(*ip), bpf_ntohs(ip->payload));
	return check_options_and_sum(skb, packet, interface, ip, least, sum);
}

/* A question goes to the address it is about, or to the group that its last 24 bits name (RFC 4291, 2.7.1). */
static __always_inline bool is_asked_where_it_belongs(const struct packet *packet, const struct address *target)
{
	const struct address *to = &packet->destination;
	bool group = to->word[0] == bpf_htonl(0xff020000) && !to->word[1] && to->word[2] == bpf_htonl(1) &&
		     to->word[3] == (target->word[3] | bpf_htonl(0xff000000));

	return !is_multicast(target) && (group || (same_address(to, target) && !is_unspecified(&packet->source)));
}

/* As who_has() of ARP: the MAC to answer with, or none. */
static __always_inline const __u8 *who_has_ipv6(const struct packet *packet, const struct interface_config *interface)
{
	if (is_router(interface, &packet->destination))
		return interface->router_mac;
	return mac_of_neighbour(packet, interface);
}

/* ff02::1 and its MAC (RFC 2464, 7), to who asked without an address. Spelled out: a constant would become a map. */
static __always_inline void write_all_nodes(struct ethhdr *ethernet, struct ipv6_header *ip)
{
	__u16 *mac = (__u16 *)ethernet->h_dest;

	mac[0] = bpf_htons(0x3333);
	mac[1] = 0;
	mac[2] = bpf_htons(1);
	ip->destination = (struct address){ .word = { bpf_htonl(0xff020000), 0, 0, bpf_htonl(1) } };
}

static __always_inline void write_way_back(struct ethhdr *ethernet, struct ipv6_header *ip, const struct packet *packet,
					   const struct interface_config *interface, const __u8 *mac)
{
	__builtin_memcpy(ethernet->h_dest, interface->mac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
	ethernet->h_proto = bpf_htons(ETH_P_IPV6);
	ip->destination = packet->source;
	if (is_unspecified(&packet->source))
		write_all_nodes(ethernet, ip);
}

static __always_inline void write_mac(struct neighbour_option *option, __u8 type, const __u8 *mac)
{
	option->type = type;
	option->length = 1;
	__builtin_memcpy(option->mac, mac, ETH_ALEN);
}

/* The frame with so many bytes behind Ethernet, to be written in place: the stack has no room for it. */
static __always_inline void *resize(struct __sk_buff *skb, __u32 bytes)
{
	void *data;

	if (bpf_skb_change_tail(skb, ETH_HLEN + bytes, 0) || bpf_skb_pull_data(skb, ETH_HLEN + bytes))
		return 0;
	data = (void *)(long)skb->data;
	return data + ETH_HLEN + bytes > (void *)(long)skb->data_end ? 0 : data;
}

static __always_inline enum verdict advertise_neighbour(struct __sk_buff *skb, struct packet *packet,
							const struct interface_config *interface, const __u8 *mac)
{
	const __u32 bytes = sizeof(struct neighbour_answer) - offsetof(struct neighbour_answer, header);
	struct ethhdr *ethernet = resize(skb, sizeof(struct neighbour_answer));
	struct neighbour_answer *answer = (void *)(ethernet + 1);
	__u32 flags = ADVERTISED_OVERRIDE;

	if (!ethernet)
		return DROP_ENCAPSULATION;
	flags |= is_unspecified(&packet->source) ? 0 : ADVERTISED_SOLICITED;
	flags |= is_router(interface, &packet->destination) ? ADVERTISED_ROUTER : 0;
	write_way_back(ethernet, &answer->ip, packet, interface, mac);
	begin_icmpv6(&answer->ip, bytes, NEIGHBOUR_HOP_LIMIT);
	answer->ip.source = packet->destination;
	answer->header = (struct neighbour_header){ .type = ICMPV6_NEIGHBOUR_ADVERTISEMENT, .flags = bpf_htonl(flags) };
	answer->target = packet->destination;
	write_mac(&answer->mac, OPTION_TARGET_MAC, mac);
	answer->header.checksum = fold(icmpv6_sum(&answer->ip, &answer->header, bytes, bytes));
	tell(packet, STEP_NEIGHBOUR_ANSWERED, ANSWERED, mac_number(mac));
	return send_back(skb, packet);
}

static __always_inline void write_prefix(struct router_answer *answer, const struct address *router)
{
	answer->prefix.type = OPTION_PREFIX;
	answer->prefix.length = 4;
	answer->prefix.prefix_length = PREFIX_LENGTH;
	answer->prefix.flags = PREFIX_ON_LINK;
	answer->prefix.valid = bpf_htonl(PREFIX_VALID);
	answer->prefix.preferred = bpf_htonl(PREFIX_PREFERRED);
	answer->prefix.reserved = 0;
	answer->prefix.prefix = (struct address){ .word = { router->word[0], router->word[1], 0, 0 } };
}

static __always_inline void write_router(struct router_answer *answer, const struct interface_config *interface)
{
	__builtin_memset(&answer->header, 0, sizeof(answer->header));
	answer->header.type = ICMPV6_ROUTER_ADVERTISEMENT;
	answer->header.hop_limit = ROUTER_HOP_LIMIT;
	answer->header.flags = ROUTER_MANAGED;
	answer->header.lifetime = bpf_htons(ROUTER_LIFETIME);
	write_mac(&answer->mac, OPTION_SOURCE_MAC, interface->router_mac);
	answer->mtu.type = OPTION_MTU;
	answer->mtu.length = 1;
	answer->mtu.reserved = 0;
	answer->mtu.mtu = bpf_htonl(interface->mtu);
	write_prefix(answer, &interface->router_ipv6);
}

static __always_inline enum verdict advertise_router(struct __sk_buff *skb, struct packet *packet,
						     const struct interface_config *interface)
{
	const __u32 bytes = sizeof(struct router_answer) - offsetof(struct router_answer, header);
	struct ethhdr *ethernet = resize(skb, sizeof(struct router_answer));
	struct router_answer *answer = (void *)(ethernet + 1);

	if (!ethernet)
		return DROP_ENCAPSULATION;
	write_way_back(ethernet, &answer->ip, packet, interface, interface->router_mac);
	begin_icmpv6(&answer->ip, bytes, NEIGHBOUR_HOP_LIMIT);
	answer->ip.source = link_local_router();
	write_router(answer, interface);
	answer->header.checksum = fold(icmpv6_sum(&answer->ip, &answer->header, bytes, bytes));
	tell(packet, STEP_ROUTER_ADVERTISED, ANSWERED, 0);
	return send_back(skb, packet);
}

static __always_inline enum verdict answer_router_question(struct __sk_buff *skb, struct packet *packet,
							   const struct interface_config *interface)
{
	const struct router_question *asked = pull_question(skb, sizeof(*asked));
	enum verdict verdict;

	if (!asked)
		return DROP_MALFORMED_NEIGHBOUR;
	if ((verdict = check_question(skb, packet, interface, &asked->ip, sizeof(*asked))))
		return verdict;
	tell(packet, STEP_SOURCE_CHECKED, CONTINUE, 0);
	return advertise_router(skb, packet, interface);
}

static __always_inline enum verdict answer_neighbour_question(struct __sk_buff *skb, struct packet *packet,
							      const struct interface_config *interface)
{
	const struct neighbour_question *asked = pull_question(skb, sizeof(*asked));
	enum verdict verdict;
	const __u8 *mac;

	if (!asked || !is_asked_where_it_belongs(packet, &asked->target))
		return DROP_MALFORMED_NEIGHBOUR;
	if ((verdict = check_question(skb, packet, interface, &asked->ip, sizeof(*asked))))
		return verdict;
	packet->destination = asked->target;
	tell(packet, STEP_SOURCE_CHECKED, CONTINUE, 0);
	mac = who_has_ipv6(packet, interface);
	return mac ? advertise_neighbour(skb, packet, interface, mac) : DROP_NEIGHBOUR_UNANSWERED;
}

/* Out of line: it is rare, and what it needs of the stack is its own. */
static __noinline enum verdict answer_neighbour(struct __sk_buff *skb, struct packet *packet,
						const struct interface_config *interface)
{
	if (!has_ipv6(interface))
		return DROP_NEIGHBOUR_UNANSWERED;
	if (packet->icmp_type == ICMPV6_ROUTER_SOLICITATION)
		return answer_router_question(skb, packet, interface);
	if (packet->icmp_type == ICMPV6_NEIGHBOUR_SOLICITATION)
		return answer_neighbour_question(skb, packet, interface);
	return DROP_NEIGHBOUR_UNANSWERED;
}

#endif
