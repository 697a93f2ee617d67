"""One sentence for every verdict and every step: what `rookery trace`, `watch` and docs/life-of-a-packet.md say."""

from __future__ import annotations

from rookery.dataplane.formats import Step, Verdict

VERDICTS: dict[Verdict, str] = {
    Verdict.CONTINUE: "on to the next stage",
    Verdict.SENT: "sent on: over the substrate, or to the receiving gate of this same host",
    Verdict.DELIVERED: "delivered to the instance",
    Verdict.ANSWERED: "answered by the host itself",
    Verdict.NOT_OURS: "no packet of the overlay for this host: left to the host's kernel",
    Verdict.DROP_NOT_CONFIGURED: "nobody configured this interface, the substrate, or a way to that host",
    Verdict.DROP_TRUNCATED: "a header is cut off",
    Verdict.DROP_NOT_IP: "neither IPv4 nor ARP, or tagged for a VLAN",
    Verdict.DROP_MALFORMED_IP: "the IP header contradicts itself: version, header length or total length",
    Verdict.DROP_MALFORMED_ARP: "the ARP packet is not about IPv4 on Ethernet, or neither question nor answer",
    Verdict.DROP_ARP_UNANSWERED: "an ARP packet without effect: no question, or about an address nobody else in the subnet has",
    Verdict.DROP_MULTICAST: "broadcast or multicast: a VPC has none",
    Verdict.DROP_SOURCE_MAC: "the sender's MAC is not the interface's",
    Verdict.DROP_SOURCE_ADDRESS: "the sender's address does not belong to the interface",
    Verdict.DROP_NO_ROUTE: "no route of the subnet's route table leads there",
    Verdict.DROP_BLACKHOLE: "the route leads into a black hole",
    Verdict.DROP_NO_MAPPING: "nobody in this VPC has the destination's address",
    Verdict.DROP_WRONG_SUBNET: "sent past the router, but the destination is in another subnet",
    Verdict.DROP_TOO_BIG: "larger than the path allows, and its sender cannot be told",
    Verdict.DROP_ENCAPSULATION: "the kernel refused to wrap the packet",
    Verdict.DROP_MALFORMED_GENEVE: "not Geneve as hosts of this region write it",
    Verdict.DROP_UNKNOWN_OPTION: "a critical Geneve option that this host does not know",
    Verdict.DROP_SOURCE_NOT_MAPPED: "nobody in this VPC has the inner source's address",
    Verdict.DROP_SOURCE_NOT_AT_HOST: "the inner source does not live at the host that sent the packet",
    Verdict.DROP_DESTINATION_NOT_HERE: "no interface of this host has the inner destination's address",
    Verdict.DROP_DECAPSULATION: "the kernel refused to unwrap the packet",
    Verdict.DROP_LINK_LOCAL: "a link-local address (169.254.0.0/16): never routed, and its services are not built yet",
}

STEPS: dict[Step, str] = {
    Step.RECEIVED: "received: {source} -> {destination}, {length} bytes",
    Step.ARP_ANSWERED: "ARP answered by the host: {destination} is at {mac}",
    Step.SOURCE_CHECKED: "source checked: {source} belongs to the interface",
    Step.SAME_SUBNET: "same subnet: no route needed",
    Step.ROUTE_FOUND: "route found: {route}",
    Step.MAPPING_FOUND: "mapping found: {destination} lives at {outer_destination} (generation {detail})",
    Step.WRAPPED: "wrapped in Geneve for VPC {vni:06x}: {outer_source} -> {outer_destination}",
    Step.UNWRAPPED: "unwrapped",
    Step.VERIFIED: "verified: the mapping agrees that {source} lives at {outer_source} (generation {detail})",
    Step.DELIVERED: "delivered to device {ifindex}",
    Step.DROPPED: "dropped: {reason}",
    Step.FRAGMENTATION_NEEDED: "too big: the sender is told that packets of {detail} bytes fit",
    Step.NOT_OURS: "no packet of the overlay for this host: left to the host's kernel",
}
