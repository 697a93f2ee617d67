/* SPDX-License-Identifier: GPL-2.0-only */
/* From an instance: TC ingress of the host's side of its device. */
#include "stages/arp.h"
#include "stages/deliver.h"
#include "stages/encapsulate.h"
#include "stages/fits.h"
#include "stages/fragment.h"
#include "stages/interface.h"
#include "stages/neighbour.h"
#include "stages/network_acl.h"
#include "stages/parse.h"
#include "stages/receiving_gate.h"
#include "stages/security_group.h"
#include "stages/service.h"
#include "stages/source_check.h"
#include "stages/substrate.h"
#include "stages/to_service.h"
#include "stages/unicast.h"
#include "stages/verify.h"
#include "stages/way_back.h"

char program_license[] SEC("license") = "GPL";

/* The peer lives on this very host: the same second gate as if the packet had come over the substrate. */
static __always_inline enum verdict receive(struct __sk_buff *skb, struct packet *packet,
					    const struct next_hop *hop, const struct substrate_config *config)
{
	const struct local_interface *local;
	struct sender sender = {};
	enum verdict verdict;

	packet->outer_source = config->address;
	packet->vni = hop->vni;
	if (!packet->what_if) count(packet, SENT);
	if ((verdict = verify_interface(packet, &sender))) return verdict;
	if ((verdict = find_destination(packet, config, &local))) return verdict;
	if ((verdict = admit_to(skb, packet, &sender, local))) return verdict;
	return deliver(skb, packet, &sender, local);
}

static __always_inline enum verdict leave(struct __sk_buff *skb, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	const struct interface_config *interface;
	struct next_hop hop = {};
	struct connection *flow;
	enum verdict verdict;

	if ((verdict = find_interface(packet, &interface))) return verdict;
	if ((verdict = parse_ethernet(skb, packet))) return verdict;
	if ((verdict = check_source_mac(packet, interface))) return verdict;
	if (is_arp(skb, packet)) return answer_arp(skb, packet, interface);
	if ((verdict = parse_ip(skb, packet))) return verdict;
	if (is_neighbour_discovery(packet)) return answer_neighbour(skb, packet, interface);
	if (asks_for_address(packet, interface)) return serve_address(skb, packet, interface);
	if ((verdict = refuse_multicast(packet))) return verdict;
	if ((verdict = check_source_address(packet, interface))) return verdict;
	if (stays_at_host(packet, interface)) return serve(skb, packet, interface);
	if ((verdict = refuse_link_local(packet))) return verdict;
	if ((verdict = refuse_family(packet, interface))) return verdict;
	if ((verdict = find_fragment(packet, EGRESS))) return verdict;
	flow = flow_of(packet, EGRESS, interface->interface);
	if ((verdict = find_way(skb, packet, interface, flow, &hop))) return verdict;
	if (!config) return DROP_NOT_CONFIGURED;
	if ((verdict = check_border(packet, &interface->gates, EGRESS, leaves_subnet(interface, &hop)))) return verdict;
	if ((verdict = check_size(skb, packet, interface, config))) return verdict;
	if ((verdict = find_substrate_hop(skb, packet, config))) return verdict;
	if ((verdict = check_groups(skb, packet, &interface->gates, EGRESS, interface->interface, hop.group_set, flow)))
		return verdict;
	if (hop.host == config->address) return receive(skb, packet, &hop, config);
	return encapsulate(skb, packet, &hop, config);
}

SEC("tc")
int host_egress(struct __sk_buff *skb)
{
	struct packet *packet = blank_packet();

	if (!packet) return TC_ACT_SHOT;
	begin(skb, packet, HOST_EGRESS);
	return finish(skb, packet, leave(skb, packet));
}
