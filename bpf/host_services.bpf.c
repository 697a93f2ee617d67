/* SPDX-License-Identifier: GPL-2.0-only */
/* From the services: TC ingress of the host's side of the pair that leads to them. */
#include "stages/from_service.h"

char program_license[] SEC("license") = "GPL";

static __always_inline enum verdict answer(struct __sk_buff *skb, struct packet *packet)
{
	const struct interface_config *interface;
	struct new_addresses new = {};
	enum verdict verdict;
	__u32 service;

	if ((verdict = parse_ethernet(skb, packet))) return verdict;
	if ((verdict = parse_ip(skb, packet))) return verdict;
	if ((verdict = find_answerer(packet, &service))) return verdict;
	if ((verdict = find_asker(packet, &interface))) return verdict;
	if ((verdict = find_way_back(packet, interface, service, &new))) return verdict;
	if ((verdict = check_answer_size(packet, interface, &new))) return verdict;
	return answer_guest(skb, packet, interface, service, &new);
}

SEC("tc")
int host_services(struct __sk_buff *skb)
{
	struct packet *packet = blank_packet();

	if (!packet) return TC_ACT_SHOT;
	begin(skb, packet, HOST_SERVICES);
	return finish(skb, packet, answer(skb, packet));
}
