"""Balancers whose targets change, each target group in another way, while connections are held through them (tests/balancing/conftest.py)."""

from __future__ import annotations

from typing import NamedTuple

from tests.balancing.street import ENDS, LONG, SHORT, Street
from tests.waiting import until

FAILING, CHANGING = 80, (81, 82)  # their listeners


class Changed(NamedTuple):
    street: Street
    failing: str  # the balancer's address in zone a
    changing: str
    name: str  # of failing

    def front(self, port: int) -> str:
        return self.failing if port == FAILING else self.changing

    def asks(self, port: int) -> set[str]:
        return self.street.asks("client", self.front(port), port)

    def hold(self, port: int, target: str) -> None:
        """A connection to this target, as "TARGET PORT"."""
        client = self.street.talk("client")
        until(lambda: client("hold", "new", self.front(port), port, SHORT).startswith(target), f"{target} is chosen at {port}")
        client("call", "new", f"{target} {port}")

    def over(self, held: str) -> str:
        """What becomes of a segment of the client's over a connection that it has."""
        return self.street.talk("client")("exchange", held, LONG)

    def state_of(self, group: str, target: str) -> str:
        asked = {"TargetGroupArn": self.street.targets[group], "Targets": [{"Id": self.street.instances[target]}]}
        (found,) = self.street.elb.describe_target_health(**asked)["TargetHealthDescriptions"]
        return found["TargetHealth"]["State"]


def change(street: Street) -> Changed:
    arn = street.balancers["failing"]
    (told,) = street.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    made = Changed(street, *(street.fronts(name)["a"][0] for name in ("failing", "changing")), told["DNSName"])
    until(lambda: len(street.talk("client")("look_up", made.name)) == 2, "its name leads to both zones")
    for port, target in ((80, "one"), (80, "three"), (81, "one"), (82, "three")):
        made.hold(port, target)
    for target in ("two", "three"):
        street.talk(target)("leave", ENDS)
    street.set_group("shown", preserve_client_ip__enabled="true")
    street.elb.deregister_targets(TargetGroupArn=street.targets["leaves"], Targets=[{"Id": street.instances["three"]}])
    return made
