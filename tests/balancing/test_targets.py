"""What becomes of connections through a balancer when its targets change, and what is said of them. In a running region; who is where:
tests/balancing/conftest.py. Each target group changes in another way, all of them at once: a node learns of it within seconds.

    client --+-- failing (internal, zones a and b)  TCP 80 fails: three and two stop being healthy
             +-- changing (internal, zone a)        TCP 81 shown: becomes one that preserves its client
                                                    TCP 82 leaves: three is deregistered
                                                    TCP 53 unwell: nobody has ever been healthy
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.balancing.street import CHECKED, LONG, SHORT, UNWELL, Street, address
from tests.waiting import until

pytestmark = pytest.mark.real_packets


FAILING, CHANGING = 80, (81, 82, 53)  # their listeners


class Changed(NamedTuple):
    street: Street
    failing: str  # the balancer's address in zone a
    changing: str
    name: str  # of failing

    def front(self, port: int) -> str:
        return self.failing if port == FAILING else self.changing

    def asks(self, port: int) -> set[str]:
        return self.street.asks("client", self.front(port), port)

    def over(self, held: str) -> str:
        """What becomes of a segment of the client's over a connection that it has."""
        return self.street.talk("client")("exchange", held, LONG)

    def state_of(self, group: str, target: str) -> str:
        asked = {"TargetGroupArn": self.street.targets[group], "Targets": [{"Id": self.street.instances[target]}]}
        (found,) = self.street.elb.describe_target_health(**asked)["TargetHealthDescriptions"]
        return found["TargetHealth"]["State"]


    def hold(self, port: int, target: str) -> None:
        """A connection to this target, as "TARGET PORT"."""
        client = self.street.talk("client")
        until(lambda: client("hold", "new", self.front(port), port, SHORT).startswith(target), f"{target} is chosen at {port}")
        client("call", "new", f"{target} {port}")


@pytest.fixture(scope="module")
def changed(whole_street: Street) -> Changed:
    street = whole_street
    arn = street.balancer("failing")
    street.balancer("changing", "a")
    street.target_group("fails", "TCP", 80, "one", "two", "three")
    street.target_group("shown", "TCP", 81, "one", by="ip")
    street.target_group("leaves", "TCP", 82, "one", "three")
    street.target_group("unwell", "TCP", 53, "one", "three", check=UNWELL)
    street.listen("failing", FAILING, "fails")
    for port, group in zip(CHANGING, ("shown", "leaves", "unwell"), strict=True):
        street.listen("changing", port, group)
    street.look()
    street.until_active()
    (told,) = street.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    made = Changed(street, *(street.fronts(name)["a"][0] for name in ("failing", "changing")), told["DNSName"])
    until(lambda: len(street.talk("client")("look_up", made.name)) == 2, "its name leads to both zones")
    for port, target in ((80, "one"), (80, "three"), (81, "one"), (82, "three")):
        made.hold(port, target)
    _change(street)
    return made


def _change(street: Street) -> None:
    for target in ("two", "three"):
        street.talk(target)("leave", CHECKED)
    street.look()
    street.set_group("shown", preserve_client_ip__enabled="true")
    street.elb.deregister_targets(TargetGroupArn=street.targets["leaves"], Targets=[{"Id": street.instances["three"]}])


def test_connections_of_a_target_that_becomes_unhealthy_are_reset_and_new_ones_avoid_it(changed: Changed):
    """T7-08."""
    until(lambda: changed.asks(80) == {"one"}, "three is avoided")
    assert changed.over("three 80") == "reset"
    assert changed.over("one 80") == "alive"
    assert changed.state_of("fails", "three") == "unhealthy"


def test_a_zone_without_a_healthy_target_leaves_the_name(changed: Changed):
    """T7-22."""
    until(lambda: changed.street.talk("client")("look_up", changed.name) == [changed.failing], "zone b is gone")


def test_when_a_client_is_shown_its_old_connection_goes_on_hidden(changed: Changed):
    """T7-02."""
    until(lambda: changed.street.ask("client", changed.changing, 81).startswith(f"one sees {address('client')} "), "new ones show the client")
    assert changed.over("one 81") == "alive"


def test_a_deregistered_target_keeps_its_connection_and_gets_no_new_one(changed: Changed):
    """T7-10."""
    until(lambda: changed.asks(82) == {"one"}, "three is avoided")
    assert changed.over("three 82") == "alive"
    assert changed.state_of("leaves", "three") == "draining"


def test_where_nobody_is_healthy_everybody_gets_connections(changed: Changed):
    """T7-09."""
    assert changed.state_of("unwell", "one") == changed.state_of("unwell", "three") == "unhealthy"
    until(lambda: changed.asks(53) == {"one", "three"}, "both answer")
