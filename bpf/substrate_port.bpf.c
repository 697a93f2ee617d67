/* SPDX-License-Identifier: GPL-2.0-only */
/* The substrate's own port: TC ingress of the switch's end of a host's cable. What a data centre's switch does (BCP 38): who
 * hangs on a port speaks with the addresses of that port, whatever it claims. Without it "the inner source lives at the
 * outer source" would be a check of one claim by another. And then, as a switch: to the port of whom the frame is for. */
#include "stages/straight.h"

char program_license[] SEC("license") = "GPL";

/* One port, one row: every port has its own map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct substrate_port);
} port SEC(".maps");

struct arp_claim {
	__u8 before[8];                    /* RFC 826: hardware, protocol, lengths, operation */
	__u8 mac[ETH_ALEN];
	__be32 address;
} __attribute__((packed));

static __always_inline bool speaks_for_itself(struct __sk_buff *skb, const struct ethhdr *frame, const struct substrate_port *own)
{
	struct arp_claim arp;
	struct iphdr ip;

	if (!same_mac(frame->h_source, own->mac))
		return false;
	if (frame->h_proto == bpf_htons(ETH_P_IP))
		return !bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) && ip.saddr == own->address;
	if (frame->h_proto == bpf_htons(ETH_P_ARP))
		return !bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) && arp.address == own->address &&
		       same_mac(arp.mac, own->mac);
	return false;                      /* the substrate is IPv4 */
}

SEC("tc")
int substrate_port(struct __sk_buff *skb)
{
	struct substrate_port *own;
	struct ethhdr frame;
	__u32 key = 0;

	own = bpf_map_lookup_elem(&port, &key);
	if (own && !bpf_skb_load_bytes(skb, 0, &frame, sizeof(frame)) && speaks_for_itself(skb, &frame, own))
		return go_straight(skb, frame.h_dest);
	if (own) {
		__sync_fetch_and_add(&own->refused_packets, 1);
		__sync_fetch_and_add(&own->refused_bytes, skb->len);
	}
	return TC_ACT_SHOT;
}
