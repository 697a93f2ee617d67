/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the packet fit into the path? If not, its sender is told, where it may be told. */
#ifndef ROOKERY_FITS_H
#define ROOKERY_FITS_H

#include "formats/cell.h"
#include "formats/edge.h"
#include "stages/device.h"
#include "stages/interface.h"
#include "stages/report.h"
#include "stages/wrapping.h"

enum fits_constant {
	QUOTED = 128,                      /* of the refused packet: the longest IP header and the longest TCP header fit */
	QUOTED_IPV6 = 512 - 8,             /* RFC 4443 wants up to 1,232; more than 512 are not summed in one call */
};

struct refusal {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct icmp_header icmp;
} __attribute__((packed));

/* Behind Ethernet: words on word boundaries. */
struct refusal_ipv6 {
	struct ipv6_header ip;
	struct icmpv6_too_big icmp;
	__u8 quoted[QUOTED_IPV6];
};

/* The same wherever the peer lives: a path must not change its MTU because an instance moved. */
static __always_inline __u32 path_mtu(const struct interface_config *interface, const struct substrate_config *config)
{
	__u32 carried = config->mtu > WRAPPING ? config->mtu - WRAPPING : 0;

	return interface->mtu < carried ? interface->mtu : carried;
}

/* The frame's first bytes, in one piece, and nothing behind them. */
static __always_inline bool cut(struct __sk_buff *skb, __u32 bytes)
{
	return !bpf_skb_pull_data(skb, bytes) && !bpf_skb_change_tail(skb, bytes, 0);
}

static __always_inline bool quote(struct __sk_buff *skb, __u32 *sum)
{
	void *data;
	__s64 total;

	if (!cut(skb, ETH_HLEN + QUOTED))
		return false;
	data = (void *)(long)skb->data;
	if (data + ETH_HLEN + QUOTED > (void *)(long)skb->data_end)
		return false;
	total = bpf_csum_diff(0, 0, data + ETH_HLEN, QUOTED, 0);
	*sum = ((__u32)total & 0xffff) + ((__u32)total >> 16);
	return true;
}

static __always_inline void write_refusal(struct refusal *refusal, const struct packet *packet,
					  const struct interface_config *interface, __u32 mtu, __u32 sum)
{
	__builtin_memcpy(refusal->ethernet.h_dest, interface->mac, ETH_ALEN);
	__builtin_memcpy(refusal->ethernet.h_source, interface->router_mac, ETH_ALEN);
	refusal->ethernet.h_proto = bpf_htons(ETH_P_IP);
	refusal->ip.version = 4;
	refusal->ip.ihl = 5;
	refusal->ip.tot_len = bpf_htons(sizeof(struct iphdr) + sizeof(struct icmp_header) + QUOTED);
	refusal->ip.ttl = SUBSTRATE_TTL;
	refusal->ip.protocol = IPPROTO_ICMP;
	refusal->ip.saddr = interface->router.word[3];
	refusal->ip.daddr = packet->source.word[3];
	refusal->ip.check = internet_checksum(&refusal->ip, sizeof(refusal->ip), 0);
	refusal->icmp.type = ICMP_DEST_UNREACH;
	refusal->icmp.code = ICMP_FRAG_NEEDED;
	refusal->icmp.mtu = bpf_htons(mtu);
	refusal->icmp.checksum = internet_checksum(&refusal->icmp, sizeof(refusal->icmp), sum);
}

static __always_inline bool refuse_ipv4(struct __sk_buff *skb, const struct packet *packet,
					const struct interface_config *interface, __u32 mtu)
{
	struct refusal refusal = {};
	__u32 sum = 0;

	if (packet->length < ETH_HLEN + QUOTED || !quote(skb, &sum))
		return false;
	if (bpf_skb_adjust_room(skb, sizeof(refusal) - ETH_HLEN, BPF_ADJ_ROOM_MAC, 0))
		return false;
	write_refusal(&refusal, packet, interface, mtu, sum);
	return !bpf_skb_store_bytes(skb, 0, &refusal, sizeof(refusal), 0);
}

static __always_inline void write_refusal_ipv6(struct ethhdr *ethernet, const struct packet *packet,
					       const struct interface_config *interface, __u32 mtu)
{
	struct refusal_ipv6 *refusal = (void *)(ethernet + 1);
	const __u32 bytes = sizeof(refusal->icmp) + sizeof(refusal->quoted);

	__builtin_memcpy(ethernet->h_dest, interface->mac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, interface->router_mac, ETH_ALEN);
	ethernet->h_proto = bpf_htons(ETH_P_IPV6);
	begin_icmpv6(&refusal->ip, bytes, SUBSTRATE_TTL);
	refusal->ip.source = interface->router_ipv6;
	refusal->ip.destination = packet->source;
	refusal->icmp = (struct icmpv6_too_big){ .type = ICMPV6_TOO_BIG, .mtu = bpf_htonl(mtu) };
	refusal->icmp.checksum = fold(icmpv6_sum(&refusal->ip, &refusal->icmp, bytes, bytes));
}

/* Written in place: no stack has room for what is quoted. */
static __always_inline bool refuse_ipv6(struct __sk_buff *skb, const struct packet *packet,
					const struct interface_config *interface, __u32 mtu)
{
	const __u32 before = offsetof(struct refusal_ipv6, quoted), bytes = ETH_HLEN + sizeof(struct refusal_ipv6);
	void *data;

	if (packet->length < ETH_HLEN + QUOTED_IPV6 || !cut(skb, ETH_HLEN + QUOTED_IPV6))
		return false;
	if (bpf_skb_adjust_room(skb, before, BPF_ADJ_ROOM_MAC, 0) || bpf_skb_pull_data(skb, bytes))
		return false;
	data = (void *)(long)skb->data;
	if (data + bytes > (void *)(long)skb->data_end)
		return false;
	write_refusal_ipv6(data, packet, interface, mtu);
	return true;
}

static __noinline enum verdict refuse_size(struct __sk_buff *skb, struct packet *packet,
					   const struct interface_config *interface, __u32 mtu)
{
	if (is_ipv4(&packet->source) ? !refuse_ipv4(skb, packet, interface, mtu) :
				       !refuse_ipv6(skb, packet, interface, mtu))
		return DROP_TOO_BIG;
	tell(packet, STEP_FRAGMENTATION_NEEDED, ANSWERED, mtu);
	return send_back(skb, packet);
}

/* Without don't-fragment the edge cuts it. */
static __always_inline bool exceeds_internet(const struct packet *packet)
{
	return packet->largest > INTERNET_MTU && packet->leads_out && packet->dont_fragment;
}

/* As at AWS: an endpoint tells nobody what it does not take. What the path does not carry is the router's to say. */
static __always_inline bool exceeds_endpoint(const struct packet *packet, __u32 mtu)
{
	return packet->to_endpoint && mtu == CELL_MTU;
}

static __always_inline enum verdict check_size(struct __sk_buff *skb, struct packet *packet,
					       const struct interface_config *interface,
					       const struct substrate_config *config)
{
	__u32 mtu = path_mtu(interface, config);

	if (packet->at_cell && mtu > CELL_MTU)
		mtu = CELL_MTU;
	if (packet->largest <= mtu && !exceeds_internet(packet))
		return CONTINUE;
	if (!packet->dont_fragment || packet->unanswerable || exceeds_endpoint(packet, mtu))
		return DROP_TOO_BIG;
	if (packet->leads_out && mtu > INTERNET_MTU)
		mtu = INTERNET_MTU;
	return refuse_size(skb, packet, interface, mtu);
}

#endif
