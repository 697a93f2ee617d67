"""The path with something to decide on it, beside kernel VXLAN with nftables that decides the same, and plain routed veth.

    python -m bench.rules rules|shapes [--rounds 7] [--seconds 1] [--json]

`rules`: security groups of one and of many rules. `shapes`: IPv6, many routes, network ACLs of one and of many entries. Of rules and
entries only the last fits; the traffic is tracked. The topologies take turns as in bench/path.py."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.path import Figures, measure
from bench.region import as_topology, ec2_client, launch_pair, make_places, running_region
from bench.topology import IPV4, IPV6, Case, Family, Topology, build_filtered, build_plain

RULES_PER_GROUP = 50  # the quota is 60
TCP, ALL = "6", "-1"
SETS = {
    "rules": {"rules-1": Case(rules=1), "rules-250": Case(rules=250)},
    "shapes": {
        "ipv6": Case(family=IPV6),
        "routes-500": Case(routes=500),
        "acl-1": Case(acl=1),
        "acl-40": Case(acl=40),
    },
}


def _range(family: Family, cidr: str) -> dict:
    return {"IpRanges": [{"CidrIp": cidr}]} if family is IPV4 else {"Ipv6Ranges": [{"CidrIpv6": cidr}]}


def permissions(case: Case) -> list[dict]:
    """As bench.topology.filter_text."""
    others = [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port} | _range(case.family, source)
        for source, port in case.strangers()
    ]
    return [*others, {"IpProtocol": "-1"} | _range(case.family, case.family.everybody)]


def groups_of(ec2: Any, vpc: str, case: Case) -> list[str]:
    """Security groups of the case's rules together, both ways."""
    wanted, made = permissions(case), []
    for number in range(0, len(wanted), RULES_PER_GROUP):
        name = f"rules from {number} on"
        group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        everything = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
        part = wanted[number : number + RULES_PER_GROUP]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=part)
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=part)
        made.append(group)
    return made


def guard(ec2: Any, vpc: str, places: list[str], case: Case) -> None:
    """A network ACL of the case's entries for both subnets, both ways."""
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    for egress in (True, False):
        for number, (family, source, port) in enumerate(case.denied()):
            ports = {"From": port, "To": port}
            ec2.create_network_acl_entry(
                NetworkAclId=acl, Egress=egress, RuleNumber=100 + number, RuleAction="deny", Protocol=TCP, PortRange=ports,
                **_cidr(family, "CidrBlock", source),
            )  # fmt: skip
        ec2.create_network_acl_entry(
            NetworkAclId=acl, Egress=egress, RuleNumber=1000, RuleAction="allow", Protocol=ALL,
            **_cidr(case.family, "CidrBlock", case.family.everybody),
        )  # fmt: skip
    before = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": places}])["NetworkAcls"]
    for one in (one for found in before for one in found["Associations"] if one["SubnetId"] in places):
        ec2.replace_network_acl_association(AssociationId=one["NetworkAclAssociationId"], NetworkAclId=acl)


def _cidr(family: Family, word: str, cidr: str) -> dict[str, str]:
    return {word if family is IPV4 else f"Ipv6{word}": cidr}


def lead_elsewhere(ec2: Any, vpc: str, server: dict, case: Case) -> None:
    """The case's routes, in the table of both subnets."""
    table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
    target = server["NetworkInterfaces"][0]["NetworkInterfaceId"]
    for network in case.elsewhere():
        word = "DestinationCidrBlock" if case.family is IPV4 else "DestinationIpv6CidrBlock"
        ec2.create_route(RouteTableId=table, NetworkInterfaceId=target, **{word: network})


def rookery_pair(ec2: Any, name: str, case: Case) -> Topology:
    """In a VPC of its own."""
    places = make_places(ec2)
    vpc = ec2.describe_subnets(SubnetIds=places)["Subnets"][0]["VpcId"]
    if case.acl:
        guard(ec2, vpc, places, case)
    client, server = launch_pair(ec2, places, SecurityGroupIds=groups_of(ec2, vpc, case))
    lead_elsewhere(ec2, vpc, server, case)
    return as_topology(f"rookery-{name}", client, server, case.family)


@contextmanager
def built(cases: dict[str, Case]) -> Iterator[list[Topology]]:
    """Plain veth for each family, and for each case nftables and a pair of instances of one region of two hosts."""
    with ExitStack() as kept:
        topologies: list[Topology] = []
        for family in dict.fromkeys(case.family for case in cases.values()):
            topologies.append(build_plain(family))
            kept.callback(topologies[-1].remove)
        for name, case in cases.items():
            topologies.append(build_filtered(name, case))
            kept.callback(topologies[-1].remove)
        kept.enter_context(running_region(hosts=2))
        ec2 = ec2_client()
        yield topologies + [rookery_pair(ec2, name, case) for name, case in cases.items()]


def compared(figures: dict[str, list[Figures]], name: str, family: Family) -> dict[str, dict[str, float]]:
    """By figure: medians of the three, and of the ratios of Rookery's to the others' of the same round."""
    peers = {"veth": "plain" if family is IPV4 else f"plain-ipv{family.version}", "nft": f"nft-{name}"}
    ours = figures[f"rookery-{name}"]
    found = {}
    for key in ours[0]:
        row = {"rookery": statistics.median(one[key] for one in ours)}
        for word, peer in peers.items():
            row[word] = statistics.median(one[key] for one in figures[peer])
            row[f"to_{word}"] = statistics.median(a[key] / b[key] for a, b in zip(ours, figures[peer], strict=True))
        found[key] = row
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=1, help="of each load; iperf3 takes whole ones")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases = SETS[options.set]
    with built(cases) as topologies:
        figures = measure(topologies, options.rounds, options.seconds)
    found = {name: compared(figures, name, case.family) for name, case in cases.items()}
    print(json.dumps({"figures": figures, "cases": found}) if options.json else table(found))


def table(cases: dict[str, dict[str, dict[str, float]]]) -> str:
    words = ("veth", "nft", "rookery", "to_veth", "to_nft")
    lines = [f"{'case':<12}{'figure':<26}" + "".join(f"{word:>12}" for word in words)]
    for name, rows in cases.items():
        lines += [f"{name:<12}{key:<26}" + "".join(f"{row[w]:>12.4g}" for w in words) for key, row in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
