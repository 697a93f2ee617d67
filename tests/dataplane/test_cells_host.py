"""What a host does with what lives at a cell: to which node it sends, whom it believes, and where answers go (plan_cells.py).

    instance 11 (10.7.1.5) -- [host A] -- nodes 1, 2 -- balancer 10.7.2.60, NAT gateway 10.7.2.61, endpoint 10.7.1.62
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Direction, ForwarderKey, Ifindex, RouteKind, TopsNumber, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, plan_cells, plan_edge
from tests.dataplane.gated import EGRESS, INGRESS, OWN, Gated, tcp, udp
from tests.dataplane.packets import IP, ROUTER, UDP, Ether, frame_from_11, mac_text, steps, wrapped
from tests.dataplane.packets_edge import claim_of, from_edge, ip, packet_in
from tests.dataplane.plan_cells import (
    ADDRESS,
    BALANCER,
    BALANCER_GROUPS,
    DRAINING,
    ENDPOINT,
    NAT,
    NODE_1,
    NODE_2,
    OF_PEER,
    SET,
    from_node,
    top_set,
)
from tests.dataplane.rule_rows import TCP as TCP_ONLY
from tests.dataplane.rule_rows import Rule, into, out

SERVER, CLIENT, FAR_CLIENT = "192.0.2.80", "10.7.1.6", "192.0.2.9"


@pytest.fixture
def gated(host_a: HostDataplane) -> Gated:
    """Host A, with nodes; the way out of instance 11's subnet is the NAT gateway."""
    plan_cells.fill(host_a)
    host_a.routes.put_many(plan_edge.default_route(1, RouteKind.INTERFACE, target=NAT))
    return Gated(host_a)


def leaving(content: Packet, to: str, through: str = ROUTER, **fields: object) -> tuple[str, bytes]:
    return EGRESS, bytes(frame_from_11(to, through, content, **fields))


def coming(content: Packet, source: str, attachment: int = BALANCER, **fields: object) -> tuple[str, bytes]:
    return INGRESS, from_node(ip(source, OWN) / content, attachment, **fields)


def node_of(gated: Gated, packet: tuple[str, bytes]) -> str:
    return str(IP(gated.ask(packet).frame[14:34]).dst)


def attachment_of(gated: Gated) -> int:
    return gated.only_connection().attachment


# Which node


def test_what_lives_at_a_cell_is_reached_through_one_of_its_nodes(gated: Gated) -> None:
    program, frame = leaving(tcp(1111, 443, "S"), ADDRESS[BALANCER])
    told = gated.ask((program, frame))
    assert told.verdict is Verdict.SENT
    assert steps(told) == ["RECEIVED", "SOURCE_CHECKED", "ROUTE_FOUND", "TOP_CHOSEN", "MAPPING_FOUND", "WRAPPED"]
    assert IP(told.frame[14:34]).dst in (str(NODE_1), str(NODE_2))
    claim = claim_of(told.frame)
    assert (claim.vni, claim.origin_vni, claim.interface, claim.target) == (plan.VPC, plan.VPC, 11, 0)
    assert told.frame[66:72] == plan.mac(BALANCER)
    assert packet_in(told.frame) == frame[14:]


def test_a_route_to_a_nat_gateway_names_its_interface(gated: Gated) -> None:
    told = gated.ask(leaving(udp(1, 53), SERVER))
    assert steps(told) == ["RECEIVED", "SOURCE_CHECKED", "ROUTE_FOUND", "TOP_CHOSEN", "FORWARDER_FOUND", "WRAPPED"]
    assert (claim_of(told.frame).vni, claim_of(told.frame).target) == (plan.VPC, NAT)


def test_a_neighbour_in_the_same_subnet_may_live_at_a_cell(gated: Gated) -> None:
    told = gated.ask(leaving(tcp(1, 443, "S"), ADDRESS[ENDPOINT], plan.mac(ENDPOINT).hex(":")))
    assert steps(told) == ["RECEIVED", "SOURCE_CHECKED", "TOP_CHOSEN", "MAPPING_FOUND", "SAME_SUBNET", "WRAPPED"]


def test_a_balancer_of_a_peer_is_reached_in_the_peers_name(gated: Gated) -> None:
    told = gated.ask(leaving(tcp(1, 443, "S"), ADDRESS[OF_PEER]))
    assert (claim_of(told.frame).vni, claim_of(told.frame).origin_vni) == (plan.PEER, plan.VPC)


def test_a_flow_stays_with_its_node_and_flows_are_spread(gated: Gated) -> None:
    chosen = {n: {node_of(gated, leaving(udp(n, 53), SERVER)) for _ in range(2)} for n in range(1000, 1100)}
    assert {len(nodes) for nodes in chosen.values()} == {1}
    assert 25 <= sum(nodes == {str(NODE_1)} for nodes in chosen.values()) <= 75


def test_when_a_node_dies_only_its_own_flows_move(gated: Gated) -> None:
    nodes = [str(NODE_1), str(NODE_2), "100.64.1.34", "100.64.1.35"]

    def choices(living: list[str]) -> dict[int, str]:
        addresses = [type(NODE_1)(address) for address in living]
        gated.real.tops.put_many({TopsNumber(SET): top_set(*addresses)})
        return {port: node_of(gated, leaving(udp(port, 53), SERVER)) for port in range(1000, 1200)}

    whole, rest = choices(nodes), choices(nodes[1:])
    assert {port for port in whole if whole[port] != rest[port]} == {p for p in whole if whole[p] == nodes[0]}
    assert all(30 <= list(whole.values()).count(node) <= 70 for node in nodes)
    assert choices(list(reversed(nodes))) == whole  # the order says nothing


def test_all_fragments_of_a_packet_go_to_one_node(gated: Gated) -> None:
    for number in range(20):
        whole = IP(bytes(ip(OWN, f"192.0.2.{number}", id=number, flags=0) / UDP(sport=number, dport=53) / Raw(b"x" * 3000)))
        parts = [bytes(Ether(src=mac_text(11), dst=ROUTER) / IP(bytes(part))) for part in whole.fragment(1400)]
        assert gated.passes((EGRESS, parts[0]))  # the ports of the first are kept
        assert len({node_of(gated, (EGRESS, part)) for part in parts}) == 1


def test_only_living_nodes_get_anything(gated: Gated) -> None:
    gated.real.tops.put_many({TopsNumber(SET): top_set(NODE_2, others=(NODE_1, DRAINING))})
    assert {node_of(gated, leaving(udp(port, 53), SERVER)) for port in range(1000, 1050)} == {str(NODE_2)}


def no_row(gated: Gated) -> None:
    gated.real.tops.delete_many([TopsNumber(SET)])


def nobody_lives(gated: Gated) -> None:
    gated.real.tops.put_many({TopsNumber(SET): top_set(others=(NODE_1,))})


@pytest.mark.parametrize("spoil", [no_row, nobody_lives])
def test_where_no_node_serves_the_owner_nothing_leaves(gated: Gated, spoil: Callable[[Gated], None]) -> None:
    spoil(gated)
    assert gated.verdict(leaving(udp(1, 53), SERVER)) == "DROP_NO_TOP"
    assert gated.verdict(leaving(udp(1, 53), ADDRESS[BALANCER])) == "DROP_NO_TOP"


def test_a_set_of_more_nodes_than_there_is_room_for_is_read_no_further(gated: Gated) -> None:
    gated.real.tops.put_many({TopsNumber(SET): top_set(NODE_1)._replace(living=99, members=99)})
    assert gated.verdict(leaving(udp(1, 53), SERVER)) == "SENT"
    assert gated.verdict(coming(udp(1, 2), ADDRESS[BALANCER], sender=NODE_2)) == "DROP_SOURCE_NOT_AT_HOST"


def test_the_border_and_the_senders_groups_are_asked(gated: Gated) -> None:
    gated.policy(out(TCP_ONLY, 443))
    assert gated.verdict(leaving(udp(1, 53), SERVER)) == "DROP_SECURITY_GROUP_EGRESS"
    gated.acl(Rule(Direction.EGRESS, cidr="10.0.0.0/8"), Rule(Direction.INGRESS))
    assert gated.verdict(leaving(tcp(1, 443, "S"), SERVER)) == "DROP_NETWORK_ACL_EGRESS"


def test_a_rule_may_name_the_groups_of_a_balancer(gated: Gated) -> None:
    gated.policy(Rule(Direction.EGRESS, group_sets=(BALANCER_GROUPS,)))
    assert gated.verdict(leaving(tcp(1, 443, "S"), ADDRESS[BALANCER])) == "SENT"
    assert gated.verdict(leaving(tcp(1, 443, "S"), ADDRESS[ENDPOINT])) == "DROP_SECURITY_GROUP_EGRESS"


def outcome(gated: Gated, segment: int, to: str, through: str = ROUTER, **fields: object) -> Verdict:
    """What becomes of a super-packet of such segments: a test run takes no frame as large as these. Nor can the kernel wrap a made one:
    DROP_ENCAPSULATION says that it was asked to, so the size was right."""
    before = {verdict: gated.counted(verdict) for verdict in Verdict}
    _, frame = leaving(tcp(1111, 443, "A") / Raw(b"x" * 2000), to, through, **fields)
    context = RunContext(ifindex=plan.DEVICE, gso_segments=2, gso_size=segment)
    gated.real.test_run("host_egress", frame, context)
    (counted,) = [verdict for verdict in Verdict if gated.counted(verdict) != before[verdict]]
    return counted


def told_mtu(gated: Gated, segment: int, to: str) -> int:
    """What the sender is told by ICMP."""
    _, frame = leaving(tcp(1111, 443, "A") / Raw(b"x" * 2000), to)
    result = gated.real.test_run("host_egress", frame, RunContext(ifindex=plan.DEVICE, gso_segments=2, gso_size=segment))
    said = IP(result.frame[14:])[ICMP]
    assert (said.type, said.code) == (3, 4)
    return int(said.nexthopmtu)


def test_a_cell_takes_no_packet_larger_than_8500(gated: Gated) -> None:
    """T6-21: a balancer's, or a NAT gateway on the way elsewhere."""
    row = plan.interface_row(plan.interface(11, 9001))
    gated.real.interfaces.put_many({Ifindex(plan.DEVICE): row})
    gated.real.configure_substrate(gated.real.substrate._replace(mtu=9101))
    headers = 40
    assert outcome(gated, 8501 - headers, ADDRESS[BALANCER]) is Verdict.ANSWERED
    assert told_mtu(gated, 8501 - headers, ADDRESS[BALANCER]) == told_mtu(gated, 8501 - headers, SERVER) == 8500
    assert outcome(gated, 8501 - headers, ADDRESS[BALANCER], flags=0) is Verdict.DROP_TOO_BIG
    assert outcome(gated, 8500 - headers, ADDRESS[BALANCER]) is Verdict.DROP_ENCAPSULATION
    assert outcome(gated, 8501 - headers, "10.7.2.7") is Verdict.DROP_ENCAPSULATION  # within the VPC larger ones go on


def test_an_endpoint_tells_nobody_that_a_packet_is_too_large(gated: Gated) -> None:
    """T8-17: 9,000 bytes that may not be fragmented. What is too large for the way there is told all the same."""
    gated.real.interfaces.put_many({Ifindex(plan.DEVICE): plan.interface_row(plan.interface(11, 9001))})
    gated.real.configure_substrate(gated.real.substrate._replace(mtu=9101))
    headers, through = 40, plan.mac(ENDPOINT).hex(":")
    assert outcome(gated, 9000 - headers, ADDRESS[ENDPOINT], through) is Verdict.DROP_TOO_BIG
    assert outcome(gated, 8500 - headers, ADDRESS[ENDPOINT], through) is Verdict.DROP_ENCAPSULATION
    gated.real.configure_substrate(gated.real.substrate._replace(mtu=1566))
    assert outcome(gated, 1501 - headers, ADDRESS[ENDPOINT], through) is Verdict.ANSWERED


# Flows with a cell are tracked, whatever the rules


@pytest.mark.parametrize("to", [SERVER, ADDRESS[BALANCER]])
def test_a_flow_to_a_cell_is_always_tracked(gated: Gated, to: str) -> None:
    assert gated.passes(leaving(tcp(1111, 443, "S"), to))
    assert (gated.only_connection().opened, attachment_of(gated)) == (Direction.EGRESS, 0)


def test_a_flow_from_a_cell_is_always_tracked(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), ADDRESS[BALANCER]))
    assert (gated.only_connection().opened, attachment_of(gated)) == (Direction.INGRESS, 0)


def test_others_are_not(gated: Gated) -> None:
    assert gated.passes(leaving(tcp(1111, 443, "S"), "10.7.2.7"))
    assert not gated.connections


# Whom it believes


def test_a_node_speaks_for_an_interface_at_its_cell(gated: Gated) -> None:
    told = gated.ask(coming(tcp(2222, 80, "S"), ADDRESS[BALANCER]))
    assert told.verdict is Verdict.DELIVERED
    assert steps(told) == ["RECEIVED", "FROM_TOP", "UNWRAPPED", "DELIVERED"]
    assert told.frame == bytes(Ether(src=ROUTER, dst=mac_text(11)) / ip(ADDRESS[BALANCER], OWN) / tcp(2222, 80, "S"))


def test_any_member_of_the_set_is_believed_living_or_not(gated: Gated) -> None:
    for sender in (NODE_1, NODE_2, DRAINING):
        assert gated.verdict(coming(udp(1, 2), ADDRESS[BALANCER], sender=sender)) == "DELIVERED"


@pytest.mark.parametrize("source", [CLIENT, FAR_CLIENT])
def test_it_passes_on_what_clients_sent_with_their_own_address(gated: Gated, source: str) -> None:
    told = gated.ask(coming(tcp(2222, 80, "S"), source))
    assert steps(told) == ["RECEIVED", "FROM_TOP", "UNWRAPPED", "DELIVERED"]
    assert told.frame[14:] == bytes(ip(source, OWN) / tcp(2222, 80, "S"))


def test_an_interface_whose_check_is_on_speaks_for_itself_only(gated: Gated) -> None:
    assert gated.verdict(coming(udp(1, 2), ADDRESS[ENDPOINT], ENDPOINT)) == "DELIVERED"
    assert gated.verdict(coming(udp(1, 2), FAR_CLIENT, ENDPOINT)) == "DROP_SOURCE_NOT_MAPPED"


def test_the_frame_of_a_neighbour_comes_from_its_mac(gated: Gated) -> None:
    told = gated.ask(coming(udp(1, 2), ADDRESS[ENDPOINT], ENDPOINT))
    assert told.frame[6:12] == plan.mac(ENDPOINT)


def test_a_balancers_groups_admit_what_it_passes_on(gated: Gated) -> None:
    gated.policy(Rule(Direction.INGRESS, group_sets=(BALANCER_GROUPS,)))
    for source in (ADDRESS[BALANCER], CLIENT, FAR_CLIENT):
        assert gated.verdict(coming(tcp(2222, 80, "S"), source)) == "DELIVERED"
    direct = Ether(src=mac_text(12), dst=mac_text(11)) / ip(CLIENT, OWN) / tcp(2222, 80, "S")
    assert gated.verdict((INGRESS, bytes(wrapped(direct)))) == "DROP_SECURITY_GROUP_INGRESS"


def test_a_clients_address_is_what_rules_by_address_see(gated: Gated) -> None:
    gated.policy(into(TCP_ONLY, 80, f"{FAR_CLIENT}/32"))
    assert gated.verdict(coming(tcp(2222, 80, "S"), FAR_CLIENT)) == "DELIVERED"
    assert gated.verdict(coming(tcp(2222, 80, "S"), "192.0.2.10")) == "DROP_SECURITY_GROUP_INGRESS"


# Where answers go


def test_answers_to_a_client_that_came_through_a_balancer_go_back_to_the_balancer(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), FAR_CLIENT))
    assert attachment_of(gated) == BALANCER
    told = gated.ask(leaving(tcp(80, 2222, "SA"), FAR_CLIENT))
    assert steps(told) == ["RECEIVED", "SOURCE_CHECKED", "TOP_CHOSEN", "FORWARDER_FOUND", "WRAPPED"]
    claim = claim_of(told.frame)
    assert (claim.vni, claim.interface, claim.target) == (plan.VPC, 11, BALANCER)
    assert packet_in(told.frame) == bytes(ip(OWN, FAR_CLIENT) / tcp(80, 2222, "SA"))


def test_they_need_no_route_and_no_rule(gated: Gated) -> None:
    gated.policy(into())
    gated.real.routes.delete_many([key for key, _ in gated.real.routes.items()])
    assert gated.passes(coming(tcp(2222, 80, "S"), FAR_CLIENT))
    assert gated.verdict(leaving(tcp(80, 2222, "SA"), FAR_CLIENT)) == "SENT"
    assert gated.verdict(leaving(tcp(81, 2222, "SA"), FAR_CLIENT)) == "DROP_NO_ROUTE"


def test_a_client_in_the_same_subnet_is_answered_through_the_balancer_too(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), CLIENT))
    told = gated.ask(leaving(tcp(80, 2222, "SA"), CLIENT, mac_text(12)))
    assert claim_of(told.frame).target == BALANCER
    assert told.frame[66:72] == plan.mac(BALANCER)


def test_the_border_to_the_balancers_subnet_is_crossed(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), CLIENT))
    gated.acl(Rule(Direction.EGRESS, cidr="192.0.2.0/24"), Rule(Direction.INGRESS))
    assert gated.verdict(leaving(tcp(80, 2222, "SA"), CLIENT)) == "DROP_NETWORK_ACL_EGRESS"


def test_answers_to_a_balancers_own_address_are_routed(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), ADDRESS[BALANCER]))
    told = gated.ask(leaving(tcp(80, 2222, "SA"), ADDRESS[BALANCER]))
    assert (steps(told)[2], claim_of(told.frame).target) == ("ROUTE_FOUND", 0)


def test_datagrams_and_echoes_go_back_as_well(gated: Gated) -> None:
    assert gated.passes(coming(udp(2222, 53), FAR_CLIENT))
    assert gated.passes(coming(ICMP(type=8, id=7), FAR_CLIENT))
    assert claim_of(gated.ask(leaving(udp(53, 2222), FAR_CLIENT)).frame).target == BALANCER
    assert claim_of(gated.ask(leaving(ICMP(type=0, id=7), FAR_CLIENT)).frame).target == BALANCER
    assert claim_of(gated.ask(leaving(ICMP(type=8, id=7), FAR_CLIENT)).frame).target == NAT  # a ping of its own


def test_fragments_of_an_answer_go_back_as_well(gated: Gated) -> None:
    assert gated.passes(coming(udp(2222, 53), FAR_CLIENT))
    whole = IP(bytes(ip(OWN, FAR_CLIENT, id=9, flags=0) / UDP(sport=53, dport=2222) / Raw(b"x" * 3000)))
    parts = [bytes(Ether(src=mac_text(11), dst=ROUTER) / IP(bytes(part))) for part in whole.fragment(1400)]
    assert gated.passes((EGRESS, parts[0]))
    assert {claim_of(gated.ask((EGRESS, part)).frame).target for part in parts} == {BALANCER}


def test_an_error_about_such_a_flow_goes_back_to_the_balancer(gated: Gated) -> None:
    datagram = ip(FAR_CLIENT, OWN) / udp(2222, 53)
    error = ICMP(type=3, code=3) / Raw(bytes(datagram))
    assert claim_of(gated.ask(leaving(error, FAR_CLIENT)).frame).target == NAT  # about nothing that is known
    assert gated.passes(coming(udp(2222, 53), FAR_CLIENT))
    assert claim_of(gated.ask(leaving(error, FAR_CLIENT)).frame).target == BALANCER


def test_an_error_about_an_answer_comes_in_through_the_balancer(gated: Gated) -> None:
    gated.policy(into(17))
    assert gated.passes(coming(udp(2222, 53), FAR_CLIENT))
    error = ICMP(type=3, code=4, nexthopmtu=1400) / Raw(bytes(ip(OWN, FAR_CLIENT) / udp(53, 2222)))
    assert gated.verdict(coming(error, "192.0.2.254")) == "DELIVERED"


def test_a_flow_that_began_here_follows_the_routes_whoever_answers(gated: Gated) -> None:
    """The NAT gateway speaks for the server; when the route leads elsewhere, so do packets."""
    assert gated.passes(leaving(tcp(1111, 443, "S"), SERVER))
    assert gated.passes(coming(tcp(443, 1111, "SA"), SERVER, NAT))
    assert attachment_of(gated) == 0
    gated.real.routes.put_many(plan_edge.default_route(1, RouteKind.INTERFACE, target=16))
    assert claim_of(gated.ask(leaving(tcp(1111, 443, "A"), SERVER)).frame).target == 16


def test_what_an_appliance_passes_on_is_answered_by_the_routes(gated: Gated) -> None:
    """16, on host C, has its check off."""
    inner = Ether(src=mac_text(16), dst=mac_text(11)) / ip(FAR_CLIENT, OWN) / udp(2222, 53)
    gated.policy(into(17), out(17, cidr="10.0.0.0/8"))
    assert gated.passes((INGRESS, bytes(wrapped(inner, interface=16, sender=str(plan.HOST_C)))))
    assert attachment_of(gated) == 0
    assert claim_of(gated.ask(leaving(udp(53, 2222), FAR_CLIENT)).frame).target == NAT


def test_the_last_way_in_is_the_way_back(gated: Gated) -> None:
    """One and the same client, through the balancer and past it."""
    direct = Ether(src=mac_text(12), dst=mac_text(11)) / ip(CLIENT, OWN) / tcp(2222, 80, "A")
    assert gated.passes(coming(tcp(2222, 80, "S"), CLIENT))
    assert gated.passes((INGRESS, bytes(wrapped(direct))))
    assert attachment_of(gated) == 0
    assert gated.passes(coming(tcp(2222, 80, "A"), CLIENT))
    assert attachment_of(gated) == BALANCER


def test_a_what_if_changes_no_way(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), CLIENT))
    direct = Ether(src=mac_text(12), dst=mac_text(11)) / ip(CLIENT, OWN) / tcp(2222, 80, "A")
    assert gated.verdict((INGRESS, bytes(wrapped(direct)))) == "DELIVERED"
    assert attachment_of(gated) == BALANCER


def test_a_flow_whose_time_is_over_goes_no_way_back(gated: Gated) -> None:
    assert gated.passes(coming(udp(2222, 53), FAR_CLIENT))
    gated.wait(31)
    assert claim_of(gated.ask(leaving(udp(53, 2222), FAR_CLIENT)).frame).target == NAT


def test_a_new_connection_between_the_ports_of_a_closed_one_is_routed(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), FAR_CLIENT))
    assert gated.passes(leaving(tcp(80, 2222, "R"), FAR_CLIENT))
    assert claim_of(gated.ask(leaving(tcp(80, 2222, "A"), FAR_CLIENT)).frame).target == BALANCER
    assert claim_of(gated.ask(leaving(tcp(80, 2222, "S"), FAR_CLIENT)).frame).target == NAT


def test_when_the_balancer_is_gone_its_flows_are(gated: Gated) -> None:
    assert gated.passes(coming(tcp(2222, 80, "S"), FAR_CLIENT))
    gated.real.forwarders.delete_many([ForwarderKey(plan.VPC, BALANCER)])
    assert gated.verdict(leaving(tcp(80, 2222, "SA"), FAR_CLIENT)) == "DROP_NO_FORWARDER"


def test_from_a_peers_balancer_nothing_is_answered_through_it(gated: Gated) -> None:
    """AWS keeps a client's address within the balancer's VPC only."""
    assert gated.passes(coming(udp(2222, 53), FAR_CLIENT, OF_PEER))
    assert attachment_of(gated) == 0


def test_an_edge_and_a_cell_do_not_share_their_words(gated: Gated) -> None:
    plan_edge.fill_host(gated.real)
    frame = from_edge(ip(SERVER, OWN) / udp(53, 1111), sender=str(NODE_1))
    assert gated.verdict((INGRESS, frame)) == "DROP_NOT_AN_EDGE"
    row = gated.real.mappings.get(formats.MappingKey(plan.VPC, address_bytes(ADDRESS[BALANCER])))
    assert row and row.host == plan_cells.number_bytes(SET)
