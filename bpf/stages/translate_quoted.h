/* SPDX-License-Identifier: GPL-2.0-only */
/* What does an ICMP error say of the packet that it quotes? To whoever reads it, the addresses that this one knows. */
#ifndef ROOKERY_TRANSLATE_QUOTED_H
#define ROOKERY_TRANSLATE_QUOTED_H

#include "stages/checksum.h"
#include "stages/public_address.h"
#include "stages/quote.h"

/* The quoted packet went the other way: what it was sent to is what the error's sender has. */
static __always_inline void readdress_quoted(struct iphdr *ip, __u32 left, __u32 entered)
{
	struct address source = ipv4_address(ip->saddr), destination = ipv4_address(ip->daddr);
	const struct translation *outside = left ? public_of(left, &destination) : 0;
	const struct public *inside = entered ? private_of(&source) : 0;

	if (outside)
		ip->daddr = outside->public.word[3];
	if (inside && inside->vni == entered)
		ip->saddr = inside->private.word[3];
}

/* As much of it as is quoted. Of all that changes this alone changes the error's checksum: the quoted header's sum stays the same. */
static __always_inline bool mend_quoted_transport(hull_t *hull, const struct packet *packet, __u8 protocol,
						  __u32 transport, __u32 difference)
{
	__u32 ip = packet->offset + ETH_HLEN, icmp = ip + packet->headers - sizeof(struct icmp_header);
	__u32 place = transport + checksum_place(protocol);
	__u16 before, now;

	if (place == transport || place + sizeof(before) > ip + bpf_ntohs(packet->head.ip.tot_len))
		return true;
	if (load_bytes(hull, place, &before, sizeof(before)) || (protocol == IPPROTO_UDP && !before))
		return true;
	now = protocol == IPPROTO_UDP ? mend_udp(before, difference) : mend(before, difference);
	return !store_bytes(hull, place, &now, sizeof(now)) &&
	       mend_word(hull, icmp + offsetof(struct icmp_header, checksum), before, now);
}

/* Of what quotes(). False: the kernel refused. Something else than a whole IPv4 header there is nobody's to judge. */
static __noinline bool translate_quoted(hull_t *hull, const struct packet *packet, __u32 left, __u32 entered)
{
	__u32 at = packet->offset + ETH_HLEN + packet->headers, difference;
	__be32 before[2], now[2];
	struct iphdr ip;

	if (load_bytes(hull, at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return true;
	before[0] = ip.saddr;
	before[1] = ip.daddr;
	readdress_quoted(&ip, left, entered);
	now[0] = ip.saddr;
	now[1] = ip.daddr;
	difference = bpf_csum_diff(before, sizeof(before), now, sizeof(now), 0);
	ip.check = mend(ip.check, difference);
	if (store_bytes(hull, at, &ip, sizeof(ip)))
		return false;
	return ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET) ||
	       mend_quoted_transport(hull, packet, ip.protocol, at + ip.ihl * 4, difference);
}

#endif
