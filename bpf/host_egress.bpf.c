/* SPDX-License-Identifier: GPL-2.0-only */
/* From an instance: TC ingress of the host's side of its device. */
#include "stages/arp.h"
#include "stages/deliver.h"
#include "stages/encapsulate.h"
#include "stages/fits.h"
#include "stages/interface.h"
#include "stages/neighbour.h"
#include "stages/parse.h"
#include "stages/route.h"
#include "stages/source_check.h"
#include "stages/unicast.h"
#include "stages/verify.h"

char program_license[] SEC("license") = "GPL";

/* The peer lives on this very host: the same second gate as if the packet had come over the substrate. */
static __always_inline enum verdict receive(struct __sk_buff *skb, struct packet *packet,
					    const struct substrate_config *config)
{
	const struct local_interface *local;
	const struct mapping *source;
	enum verdict verdict;

	packet->outer_source = config->address;
	if (!packet->what_if) count(packet, SENT);
	if ((verdict = verify_source(packet, &source))) return verdict;
	if ((verdict = find_destination(packet, config, &local))) return verdict;
	return deliver(skb, packet, source, local);
}

static __always_inline enum verdict leave(struct __sk_buff *skb, struct packet *packet)
{
	const struct substrate_config *config = find_substrate();
	const struct interface_config *interface;
	const struct mapping *mapping;
	enum verdict verdict;

	if ((verdict = find_interface(packet, &interface))) return verdict;
	if ((verdict = parse_ethernet(skb, packet))) return verdict;
	if ((verdict = check_source_mac(packet, interface))) return verdict;
	if (is_arp(skb, packet)) return answer_arp(skb, packet, interface);
	if ((verdict = parse_ip(skb, packet))) return verdict;
	if (is_neighbour_discovery(packet)) return answer_neighbour(skb, packet, interface);
	if ((verdict = refuse_multicast(packet))) return verdict;
	if ((verdict = check_source_address(packet, interface))) return verdict;
	if ((verdict = refuse_link_local(packet))) return verdict;
	if ((verdict = refuse_family(packet, interface))) return verdict;
	if ((verdict = find_route(packet, interface))) return verdict;
	if ((verdict = find_mapping(packet, &mapping))) return verdict;
	if ((verdict = check_subnet(packet, interface, mapping))) return verdict;
	if (!config) return DROP_NOT_CONFIGURED;
	if ((verdict = check_size(skb, packet, interface, config))) return verdict;
	if (mapping->host == config->address) return receive(skb, packet, config);
	return encapsulate(skb, packet, interface, mapping, config);
}

SEC("tc")
int host_egress(struct __sk_buff *skb)
{
	struct packet packet = {};

	begin(skb, &packet, HOST_EGRESS);
	return finish(skb, &packet, leave(skb, &packet));
}
