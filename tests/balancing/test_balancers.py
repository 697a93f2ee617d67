"""What network load balancers do with packets, in a running region; who is where: tests/balancing/conftest.py.

    client, outside -- front (internet-facing), inner, single, guarded -- one, three (zone a), two (zone b), kept
"""

from __future__ import annotations

from collections import Counter

import pytest

from rookery.region.layout import PAGE_ADDRESSES
from tests.balancing.changed import Changed
from tests.balancing.street import LONG, SHORT, Street, address
from tests.dataplane.proxy_header import LENGTH, Said, read
from tests.waiting import until

pytestmark = pytest.mark.real_packets
PAGE = PAGE_ADDRESSES[0]


@pytest.fixture(scope="module")
def shop(whole_street: Street, changed: Changed) -> Street:
    """Every balancer answers: its nodes have the file."""
    assert changed.street is whole_street
    for name in ("inner", "single"):
        private = whole_street.fronts(name)["a"][0]
        until(lambda private=private: " sees " in whole_street.ask("client", private, 80, SHORT), f"{name} answers")
    for _, public in whole_street.fronts("front").values():
        until(lambda public=public: " sees " in whole_street.ask("outside", public, 80, SHORT), "front answers")
    return whole_street


def sees(told: str) -> tuple[str, int]:
    """Whom the target sees."""
    assert " sees " in told, told
    who, port = told.split()[-2:]
    return who, int(port)


def test_instances_see_the_client_where_it_is(shop: Street):
    """T7-01: in the internet, and within the VPC."""
    private, public = shop.fronts("front")["a"]
    assert sees(shop.ask("outside", public, 80))[0] == PAGE
    assert sees(shop.ask("client", private, 80))[0] == address("client")


def test_addresses_see_the_balancer_and_a_port_that_it_handed_out(shop: Street):
    """T7-01."""
    for private, public in shop.fronts("front").values():
        who, port = sees(shop.ask("outside", public, 81))
        assert who == private and port >= 1024


@pytest.mark.parametrize("word", ["ask", "ask_by_udp"])
def test_one_port_is_listened_to_by_tcp_and_udp(shop: Street, word: str):
    private, public = shop.fronts("front")["a"]
    assert sees(shop.talk("outside")(word, public, 53, LONG))[0] == PAGE
    assert sees(shop.talk("client")(word, private, 53, LONG))[0] == address("client")


def test_a_zones_address_sends_to_its_own_zones_targets_or_to_all_where_zones_are_crossed(shop: Street):
    """T7-03."""
    fronts = shop.fronts("front")
    assert shop.asks("outside", fronts["a"][1], 80) == {"one", "three"}
    assert shop.asks("outside", fronts["b"][1], 80, 3) == {"two"}
    for private, _ in shop.fronts("inner").values():
        assert shop.asks("client", private, 80, 30) == {"one", "two", "three"}


def test_a_balancer_is_silent_to_pings_and_at_ports_without_a_listener(shop: Street):
    """T7-07."""
    private, public = shop.fronts("front")["a"]
    assert shop.ask("client", private, 82, SHORT) == shop.ask("outside", public, 82, SHORT) == "silent"
    assert shop.pings("client", address("one"))
    assert not shop.pings("client", private) and not shop.pings("outside", public)


def test_a_target_reaches_itself_through_its_balancer_only_where_the_client_is_hidden(shop: Street):
    """T7-11."""
    private = shop.fronts("single")["a"][0]
    assert shop.ask("one", private, 80, SHORT) == "silent"
    assert shop.ask("one", private, 81).startswith(f"one sees {private} ")


def test_a_targets_group_may_admit_the_balancers_group_alone(shop: Street):
    """T7-15, and T7-13 for whom the balancer's own group does not admit."""
    private = shop.fronts("guarded")["a"][0]
    assert shop.ask("client", private, 80).startswith(f"kept sees {address('client')} ")
    assert shop.ask("client", address("kept"), 80, SHORT) == "silent"
    assert shop.ask("one", private, 80, SHORT) == "silent"


MANY = 240  # connections: a third of them is 80, give or take 7


def test_weights_of_target_groups_share_new_connections(shop: Street):
    """T7-17: 10 and 20; then nothing and all."""
    private = shop.fronts("inner")["a"][0]
    seen = Counter(shop.ask("client", private, 81).split()[0] for _ in range(MANY))
    assert seen.keys() == {"one", "three"} and abs(seen["one"] - MANY / 3) < 36, seen  # five times that
    shop.weigh("inner", 81, light=0, heavy=20)
    until(lambda: shop.asks("client", private, 81, 40) == {"three"}, "nothing new goes to the one, by any node")
    assert shop.asks("client", private, 81, 40) == {"three"}


def test_a_balancer_that_may_send_nothing_finds_its_targets_unhealthy(shop: Street):
    """T7-14. And T7-13: whose group admits no client but one hears its targets all the same."""

    def health(group: str) -> tuple[str, str]:
        (found,) = shop.elb.describe_target_health(TargetGroupArn=shop.targets[group])["TargetHealthDescriptions"]
        return found["TargetHealth"]["State"], found["TargetHealth"].get("Reason", "")

    until(lambda: health("unheard") == ("unhealthy", "Target.Timeout"), "its checks do not leave", 30)
    assert health("kept") == ("healthy", "")
    guarded = shop.balancers["guarded"].partition("loadbalancer/")[2]
    blocked = "AWS/NetworkELB", "SecurityGroupBlockedFlowCount_Inbound_TCP", "Sum"
    until(lambda: shop.measured("shop", *blocked, LoadBalancer=guarded) > 0, "who was not admitted is counted", 15)


def test_what_goes_through_a_balancer_arrives_whole(shop: Street):
    """T7-01, by the megabyte: the targets echo it."""
    private, public = shop.fronts("front")["a"]
    for who, to, port in (("outside", public, 80), ("outside", public, 81), ("client", private, 80), ("client", private, 81)):
        shop.talk(who)("hold", "long", to, port, LONG)
        assert shop.talk(who)("send_and_compare", "long", 3_000_000, LONG) == "whole"


def test_clients_and_targets_speak_either_family(shop: Street):
    """T7-01: from inside and from outside. Health checks of IPv6 targets go over IPv6, or nobody would answer at 81."""
    (private, public), ipv6 = shop.fronts("dual")["a"], shop.fronts_ipv6("dual")["a"]
    for port in (80, 81):
        until(lambda port=port: " sees " in shop.ask("client", ipv6, port, SHORT), f"dual answers at {port}")
    assert sees(shop.ask("client", ipv6, 80))[0] == private
    assert sees(shop.ask("client", ipv6, 81))[0] == shop.ipv6_of("client")
    assert sees(shop.ask("client", private, 81))[0] == ipv6
    assert sees(shop.ask("outside", ipv6, 81))[0] == PAGE_ADDRESSES[1]
    assert sees(shop.ask("outside", ipv6, 80))[0] == private
    assert sees(shop.ask("outside", public, 80))[0] == PAGE
    (described,) = shop.elb.describe_load_balancers(Names=["dual"])["LoadBalancers"]
    until(lambda: shop.talk("client")("look_up_ipv6", described["DNSName"]) == [ipv6], "its name leads there")
    for port in (80, 81):
        shop.talk("client")("hold", f"ipv6 {port}", ipv6, port, LONG)
        assert shop.talk("client")("send_and_compare", f"ipv6 {port}", 1_000_000, LONG) == "whole"


def test_a_target_of_either_family_is_told_of_a_client_of_either(shop: Street):
    """T7-16: in front of its stream, before it has said anything. In the client's family."""
    (private, _), ipv6 = shop.fronts("dual")["a"], shop.fronts_ipv6("dual")["a"]
    for port in (82, 83):
        until(lambda port=port: " sees " in shop.ask("client", ipv6, port, SHORT), f"dual answers at {port}")
        for client, front in ((shop.ipv6_of("client"), ipv6), (address("client"), private)):
            told = read(bytes.fromhex(shop.talk("client")("ask_for_echo", front, port, LENGTH, LONG)))
            assert told._replace(source_port=0) == Said(client, front, 0, port)


def test_a_trace_goes_through_the_nodes_to_the_target(shop: Street):
    told = shop.region.asked("trace", shop.instances["client"], shop.fronts("inner")["a"][0], "--tcp", "80")
    programs = [leg["program"] for leg in told["legs"]]
    assert told["delivered"] and programs[-1] == "host_ingress" and "hyperplane" in programs
