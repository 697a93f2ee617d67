"""The cases in which AWS's behaviour was written down: NAT gateways (T6), network load balancers (T7), PrivateLink (T8). A test names the
cases that it asserts in its docstring, or behind its first line.

    python -m tests.cases        every case, and the tests that name it
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent
CASE = re.compile(r"\bT[678]-[0-9]{2}\b")

CASES = {
    "T6-01": "a private subnet's way out is a NAT gateway: the server sees its public address, and a port from 1024 on",
    "T6-02": "two clients of one port: two ports towards one server; towards two they may be the same",
    "T6-03": "all ports towards one destination are taken: refused, ErrorPortAllocation; other destinations are not concerned",
    "T6-04": "another address: as many connections more",
    "T6-05": "idle for 351 s, the client sends: reset to the client, nothing to the server",
    "T6-06": "idle for 351 s, the server sends: dropped in silence",
    "T6-07": "a keepalive a minute for 20 minutes: the connection lives",
    "T6-08": "a datagram of 3,000 bytes out and back; fragments of TCP and of pings are dropped",
    "T6-09": "pings of the gateway's private and public addresses, from inside and outside: no answer",
    "T6-10": "a public gateway in a VPC without an internet gateway: pending, then failed, Gateway.NotAttached",
    "T6-11": "with an Elastic IP that is in use: failed, Resource.AlreadyAssociated",
    "T6-12": "deleted: routes are black holes, the Elastic IP is free and still allocated, `deleted` can be described",
    "T6-13": "traceroute: the first hop is the gateway's private address",
    "T6-14": "a SYN to the public address that nobody asked for: dropped",
    "T6-15": "a secondary address is disassociated: disassociating while connections live, new ones use others",
    "T6-16": "the network ACL of the gateway's subnet denies ephemeral ports: answers are lost",
    "T6-17": "a peer's default route leads to the gateway's VPC: dropped",
    "T6-18": "NAT64: a host without IPv4 reaches 64:ff9b::<server>; the server sees the public address",
    "T6-19": "GRE and ESP: dropped",
    "T6-20": "a regional gateway serves a new zone at once, across zones; then by the zone's own address",
    "T6-21": "8,501 bytes, not to be fragmented: ICMP with an MTU of 8,500; a SYN's MSS of 8961 leaves as at most 8460",
    "T7-01": "instances see the client; addresses see the balancer, and a port from 1024 on",
    "T7-02": "clients are preserved from now on: old connections stay as they are, new ones show the client",
    "T7-03": "zones are not crossed: a zone's address sends to its own targets; crossed: to all",
    "T7-04": "the same client and port again may reach another target; with stickiness always the same",
    "T7-05": "idle for 351 s: who sends first is reset, client and target; TCP_ELB_Reset_Count 2",
    "T7-06": "UDP, idle for 121 s: a new flow",
    "T7-07": "a ping: no answer; a SYN to a port without listener: dropped; a stray ACK to a listener: reset",
    "T7-08": "two failed checks: unhealthy, its connections are reset, new ones avoid it",
    "T7-09": "all are unhealthy: all get flows; UnhealthyRoutingFlowCount",
    "T7-10": "deregistered: draining, its flows live on, then unused; and on, unless termination is enabled",
    "T7-11": "the only target connects to its own balancer: silence where clients are preserved, else it works",
    "T7-12": "born without security groups: SetSecurityGroups is InvalidConfigurationRequest",
    "T7-13": "the balancer's group does not admit the client: dropped, SecurityGroupBlockedFlowCount; targets stay healthy",
    "T7-14": "the balancer's groups let nothing out: targets are unhealthy",
    "T7-15": "a target admits the balancer's group alone: through the balancer yes, directly no",
    "T7-16": "proxy protocol: a target's first bytes are its signature; behind an endpoint service TLV 0xEA has the endpoint's id",
    "T7-17": "weights 10 and 20: new connections 1:2; weight 0: none",
    "T7-18": "the same balancer twice: the same ARN; the same name and another scheme: DuplicateLoadBalancerName",
    "T7-19": "a target group in use: ResourceInUse; a missing balancer: deleted already",
    "T7-20": "a Gateway Load Balancer's appliance receives Geneve",
    "T7-21": "... and dies",
    "T7-22": "a zone without a healthy target leaves the balancer's name",
    "T8-01": "acceptance is required: pendingAcceptance and silence; accepted: available, and a SYN is answered",
    "T8-02": "consumer and provider have the same addresses: the target sees the balancer's, of the provider's VPC",
    "T8-03": "proxy protocol: the consumer's private address and the endpoint's id",
    "T8-04": "a principal that is not permitted: InvalidServiceName",
    "T8-05": "an available endpoint is rejected: new and old connections die, rejected",
    "T8-06": "the endpoint's group admits nothing: dropped",
    "T8-07": "the private name leads to the endpoint in its own VPC, and nowhere else",
    "T8-08": "a second endpoint with the name in one VPC: InvalidParameter",
    "T8-09": "a ping of an endpoint: no answer",
    "T8-10": "the balancer's groups are asked for the consumer's own address, where that is enforced",
    "T8-11": "a gateway endpoint joins a route table",
    "T8-12": "... whose route is not deleted by itself",
    "T8-13": "a bucket's policy names an endpoint",
    "T8-14": "a peer reaches no gateway endpoint",
    "T8-15": "a peer reaches an interface endpoint",
    "T8-16": "a service with connections is deleted: an entry in Unsuccessful",
    "T8-17": "9,000 bytes, not to be fragmented, to an endpoint: dropped, no ICMP",
}

# Not built: README says so, and the test that names the case asserts that it is refused.
NOT_BUILT = {
    "T7-20": "Gateway Load Balancers",
    "T7-21": "Gateway Load Balancers",
    "T8-11": "gateway endpoints",
    "T8-12": "gateway endpoints",
    "T8-13": "gateway endpoints",
    "T8-14": "gateway endpoints",
}


class Named(NamedTuple):
    case: str
    test: str  # tests/region/test_cells.py::test_something


def named_cases() -> Iterator[Named]:
    """By tests; what else mentions a case asserts nothing."""
    for file in sorted(TESTS.rglob("test_*.py")):
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if CASE.search(text) else ():
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = f"{ast.get_docstring(node) or ''} {_first_lines(text, node)}"
                where = f"tests/{file.relative_to(TESTS)}::{node.name}"
                yield from (Named(case, where) for case in dict.fromkeys(CASE.findall(said)))


def _first_lines(text: str, node: ast.FunctionDef) -> str:
    """From `def` to the line before the body: a comment may stand there."""
    return "\n".join(text.splitlines()[node.lineno - 1 : node.body[0].lineno])


def main() -> None:
    found = list(named_cases())
    for case, sentence in CASES.items():
        print(f"{case}  {sentence}" + (f"  [not built: {NOT_BUILT[case]}]" if case in NOT_BUILT else ""))
        print("".join(f"         {one.test}\n" for one in found if one.case == case), end="")


if __name__ == "__main__":
    main()
