/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has this address? The host answers; no ARP packet ever leaves it, and none teaches anybody anything. */
#ifndef ROOKERY_ARP_H
#define ROOKERY_ARP_H

#include "stages/device.h"
#include "stages/interface.h"
#include "stages/service.h"
#include "stages/source_check.h"

/* RFC 826, RFC 5494. (linux/if_arp.h needs the C library.) */
enum arp_constant {
	ARPHRD_ETHER = 1,
	ARPOP_REQUEST = 1,
	ARPOP_REPLY = 2,
};

struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__be32 sender;
	__u8 target_mac[ETH_ALEN];
	__be32 target;
} __attribute__((packed));

struct arp_frame {
	struct ethhdr ethernet;
	struct arp_ipv4 arp;
} __attribute__((packed));

static __always_inline bool is_arp(struct __sk_buff *skb, const struct packet *packet)
{
	return packet->head.frame.h_proto == bpf_htons(ETH_P_ARP) && !skb->vlan_present;
}

static __always_inline enum verdict parse_arp(struct __sk_buff *skb, struct packet *packet, struct arp_ipv4 *arp)
{
	if (bpf_skb_load_bytes(skb, ETH_HLEN, arp, sizeof(*arp)))
		return DROP_TRUNCATED;
	if (arp->hardware != bpf_htons(ARPHRD_ETHER) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_length != ETH_ALEN || arp->protocol_length != sizeof(__be32) ||
	    (arp->operation != bpf_htons(ARPOP_REQUEST) && arp->operation != bpf_htons(ARPOP_REPLY)))
		return DROP_MALFORMED_ARP;
	packet->source = ipv4_address(arp->sender);
	packet->destination = ipv4_address(arp->target);
	tell(packet, STEP_RECEIVED, CONTINUE, 0);
	return CONTINUE;
}

/* A sender of 0.0.0.0 probes whether an address is free (RFC 5227). */
static __always_inline enum verdict check_arp_source(const struct packet *packet, const struct arp_ipv4 *arp,
						     const struct interface_config *interface)
{
	if (!same_mac(arp->sender_mac, interface->mac))
		return DROP_SOURCE_MAC;
	if (arp->sender && !owns(packet, interface, &packet->source))
		return DROP_SOURCE_ADDRESS;
	tell(packet, STEP_SOURCE_CHECKED, CONTINUE, 0);
	return CONTINUE;
}

/* None: the address is the guest's own, nobody's, or another subnet's. */
static __always_inline const __u8 *mac_of_neighbour(const struct packet *packet, const struct interface_config *interface)
{
	const struct mapping *mapping = mapping_of(interface->vni, &packet->destination);

	if (!mapping || mapping->interface == interface->interface || mapping->subnet != interface->subnet)
		return 0;
	return mapping->mac;
}

/* The resolver is in the subnet that begins where its VPC does: next to that subnet's router. */
static __always_inline bool is_resolver_of_subnet(const struct address *address, const struct interface_config *interface)
{
	return same_address(address, &interface->resolver) &&
	       bpf_ntohl(address->word[3]) == bpf_ntohl(interface->router.word[3]) + 1;
}

/* Guests with a route of their own to 169.254.0.0/16 ask for services as for neighbours. */
static __always_inline bool is_at_router(const struct address *address, const struct interface_config *interface)
{
	return same_address(address, &interface->router) || is_resolver_of_subnet(address, interface) ||
	       service_at_ipv4(address);
}

/* The MAC to answer with, or none: to a reply, too. */
static __always_inline const __u8 *who_has(const struct packet *packet, const struct arp_ipv4 *arp,
					   const struct interface_config *interface)
{
	if (arp->operation != bpf_htons(ARPOP_REQUEST))
		return 0;
	if (is_at_router(&packet->destination, interface))
		return interface->router_mac;
	return mac_of_neighbour(packet, interface);
}

static __always_inline __u64 mac_number(const __u8 *mac)
{
	return (__u64)mac[0] << 40 | (__u64)mac[1] << 32 | (__u64)mac[2] << 24 | (__u64)mac[3] << 16 |
	       (__u64)mac[4] << 8 | mac[5];
}

static __always_inline void write_answer(struct arp_frame *answer, const struct arp_ipv4 *asked, const __u8 *mac)
{
	__builtin_memcpy(answer->ethernet.h_dest, asked->sender_mac, ETH_ALEN);
	__builtin_memcpy(answer->ethernet.h_source, mac, ETH_ALEN);
	answer->ethernet.h_proto = bpf_htons(ETH_P_ARP);
	answer->arp = *asked;
	answer->arp.operation = bpf_htons(ARPOP_REPLY);
	__builtin_memcpy(answer->arp.sender_mac, mac, ETH_ALEN);
	answer->arp.sender = asked->target;
	__builtin_memcpy(answer->arp.target_mac, asked->sender_mac, ETH_ALEN);
	answer->arp.target = asked->sender;
}

static __noinline enum verdict answer_arp(struct __sk_buff *skb, struct packet *packet,
					  const struct interface_config *interface)
{
	struct arp_frame answer;
	struct arp_ipv4 asked;
	enum verdict verdict;
	const __u8 *mac;

	if ((verdict = parse_arp(skb, packet, &asked)))
		return verdict;
	if ((verdict = check_arp_source(packet, &asked, interface)))
		return verdict;
	mac = who_has(packet, &asked, interface);
	if (!mac)
		return DROP_ARP_UNANSWERED;
	write_answer(&answer, &asked, mac);
	if (bpf_skb_store_bytes(skb, 0, &answer, sizeof(answer), 0))
		return DROP_ENCAPSULATION;
	tell(packet, STEP_ARP_ANSWERED, ANSWERED, mac_number(mac));
	return send_back(skb, packet);
}

#endif
