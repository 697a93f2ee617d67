"""From a client through a network load balancer to its target: a Rookery region beside plain routing and nftables' DNAT.

    client --veth-- host --veth-- [bridge: substrate] --veth-- host --veth-- target
                                           |
                             balancer, or the nodes of a cell

    python -m bench.balancer_path [--rounds 7] [--seconds 1] [--nodes 4] [--json]

`plain`       all route, the box in the middle too; the client asks for the target itself: what the kernel can do at best
`vxlan-dnat`  both hosts are at the ends of kernel VXLANs of the box in the middle, which gives a flow to a target by a hash and nftables' DNAT; the
              target sees its client's address
`rookery`     an internal balancer with one target, which sees its client's address, too; its answers go back through the cell

They take turns as in bench/path.py. IPVS is measured beside them where the kernel has it ("peers" says so): that of the machine where
this page was made has not (CONFIG_IP_VS is not set).
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.cell_path import first_packets, new_flows, table, wait_until_settled
from bench.edge_topology import Shape
from bench.load import FLOW_PORT, FLOW_PORTS, PORT
from bench.path import LOADS, measure, ratios, wait_for_listener
from bench.region import (
    admit_everybody,
    client_of,
    ec2_client,
    launch_pair,
    make_places,
    namespace_of,
    running_region,
    wait_for_ping,
)
from bench.switch import lead_straight
from bench.target_changes import started, wait_for
from bench.topology import INSTANCE_MTU, SUBSTRATE_MTU, Endpoint, Topology, bypass_netfilter, inside, ip

CLIENT, VIRTUAL, TARGET = "10.1.0.5", "203.0.113.5", "10.2.0.5"
UNDERLAY = {"host": "100.64.0.1", "box": "100.64.0.2", "far": "100.64.0.3"}
TUNNELS = (("host", "vx1", 101, "100.65.1"), ("far", "vx2", 102, "100.65.2"))  # of the box, to whom: device, VNI, network
DNAT = (
    "table ip balancer { chain before { type nat hook prerouting priority dstnat; "
    f"ip daddr {VIRTUAL} meta l4proto {{ tcp, udp }} dnat to jhash ip saddr . th sport mod 2 map {{ 0 : {TARGET}, 1 : {TARGET} }}; }}; "
    "chain after { type nat hook postrouting priority srcnat; }; }; "
)
LISTENED = (("TCP_UDP", PORT), ("TCP", 5201), *(("UDP", FLOW_PORT + number) for number in range(FLOW_PORTS)))
CHECKED = 80  # bench.connections' port


class Row(Shape):
    """Of one peer: two hosts, and a box on the substrate."""

    PARTS = ("instance", "host", "substrate", "box", "far", "server")
    PREFIX = "rookery-bench-balancer"

    def build(self) -> None:
        for namespace in self.spaces.values():
            ip("netns", "add", namespace)
        bypass_netfilter(self.spaces["substrate"])
        self.ip("substrate", "link", "add", "br0", "mtu", str(SUBSTRATE_MTU), "type", "bridge")
        self.ip("substrate", "link", "set", "br0", "up")
        for part, address in UNDERLAY.items():
            self.wire((part, "u0"), ("substrate", part), SUBSTRATE_MTU)
            self.ip("substrate", "link", "set", part, "master", "br0")
            self.address(part, "u0", f"{address}/24")
            inside(self.spaces[part], "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0")
        lead_straight(self.spaces["substrate"], {part: (self.spaces[part], address) for part, address in UNDERLAY.items()})
        for part, host, own, router in (("instance", "host", CLIENT, "10.1.0.1"), ("server", "far", TARGET, "10.2.0.1")):
            self.wire((part, "eth0"), (host, "inst"), INSTANCE_MTU)
            self.address(part, "eth0", f"{own}/24")
            self.address(host, "inst", f"{router}/24")
            self.route(part, "default", router)

    def lead_through(self, near: str, box_near: str, far: str, box_far: str) -> None:
        """The box, by its two addresses, is the next hop of both hosts, and these are its."""
        for network in (f"{VIRTUAL}/32", "10.2.0.0/24"):
            self.route("host", network, box_near)
        self.route("far", "10.1.0.0/24", box_far)
        self.route("box", "10.1.0.0/24", near)
        self.route("box", "10.2.0.0/24", far)

    def tunnel_to_box(self) -> None:
        for part, device, number, network in TUNNELS:
            for here, there, own in ((part, "box", 1), ("box", part, 2)):
                ends = ("local", UNDERLAY[here], "remote", UNDERLAY[there], "dstport", "4789", "dev", "u0")
                self.ip(here, "link", "add", device, "mtu", str(INSTANCE_MTU), "type", "vxlan", "id", str(number), *ends)
                self.address(here, device, f"{network}.{own}/24")
                self.ip(here, "link", "set", device, "up")

    def ends(self, asked: str) -> Topology:
        return Topology(self.name, Endpoint(self.spaces["instance"], CLIENT), Endpoint(self.spaces["server"], asked, TARGET))


def plain(row: Row) -> Topology:
    row.lead_through(UNDERLAY["host"], UNDERLAY["box"], UNDERLAY["far"], UNDERLAY["box"])
    for part in UNDERLAY:
        inside(row.spaces[part], "sysctl", "-qw", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.u0.send_redirects=0")
    return row.ends(TARGET)


def tunnelled(row: Row) -> Topology:
    row.tunnel_to_box()
    row.lead_through("100.65.1.1", "100.65.1.2", "100.65.2.1", "100.65.2.2")
    return row.ends(VIRTUAL)


def vxlan_dnat(row: Row) -> Topology:
    topology = tunnelled(row)
    inside(row.spaces["box"], "nft", DNAT)
    return topology


def vxlan_ipvs(row: Row) -> Topology:
    """Masquerading: the target answers through the box."""
    topology = tunnelled(row)
    row.ip("box", "addr", "add", f"{VIRTUAL}/32", "dev", "lo")
    for kind, port in [("-t", PORT), ("-t", 5201), ("-u", PORT), *(("-u", FLOW_PORT + number) for number in range(FLOW_PORTS))]:
        inside(row.spaces["box"], "ipvsadm", "-A", kind, f"{VIRTUAL}:{port}", "-s", "rr")
        inside(row.spaces["box"], "ipvsadm", "-a", kind, f"{VIRTUAL}:{port}", "-r", TARGET, "-m")
    return topology


PEERS: dict[str, Callable[[Row], Topology]] = {"plain": plain, "vxlan-dnat": vxlan_dnat}
if Path("/proc/net/ip_vs").exists():
    PEERS["vxlan-ipvs"] = vxlan_ipvs


@contextmanager
def peer(name: str) -> Iterator[Topology]:
    row = Row(name)
    try:
        row.build()
        yield PEERS[name](row)
    finally:
        for namespace in row.spaces.values():
            subprocess.run(["ip", "netns", "del", namespace], check=False, stderr=subprocess.DEVNULL)


def _balancer(elb: Any, ec2: Any, places: list[str], target: dict[str, Any]) -> tuple[str, list[str]]:
    """Its address in the first place, of two, and its target groups: one for each load. It crosses zones."""
    asked = {"Name": "load", "Type": "network", "Scheme": "internal", "Subnets": places}
    balancer = elb.create_load_balancer(**asked)["LoadBalancers"][0]["LoadBalancerArn"]
    crossing = [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=crossing)
    check = {"HealthCheckProtocol": "TCP", "HealthCheckPort": str(CHECKED), "HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2}
    groups = []
    for protocol, port in LISTENED:
        wanted = {"Name": f"load-{port}", "Protocol": protocol, "Port": port, "VpcId": target["VpcId"], "TargetType": "instance", **check}
        group = elb.create_target_group(**wanted)["TargetGroups"][0]["TargetGroupArn"]
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": target["InstanceId"]}])
        action = {"Type": "forward", "TargetGroupArn": group}
        elb.create_listener(LoadBalancerArn=balancer, Protocol=protocol, Port=port, DefaultActions=[action])
        groups.append(group)
    described = [{"Name": "description", "Values": ["ELB net/load/*"]}, {"Name": "subnet-id", "Values": places[:1]}]
    (front,) = ec2.describe_network_interfaces(Filters=described)["NetworkInterfaces"]
    return str(front["PrivateIpAddress"]), groups


def _is_healthy(elb: Any, group: str) -> bool:
    told = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return bool(told) and all(one["TargetHealth"]["State"] == "healthy" for one in told)


@contextmanager
def built(nodes: int) -> Iterator[list[Topology]]:
    """The peers, and a region whose cell has so many nodes; whatever happens they are taken down."""
    with ExitStack() as kept:
        topologies = [kept.enter_context(peer(name)) for name in PEERS]
        kept.enter_context(running_region(hosts=2, nodes=nodes))
        ec2, elb = ec2_client(), client_of("elbv2")
        places = make_places(ec2)
        client, target = launch_pair(ec2, places)
        admit_everybody(ec2, client)
        wait_for_ping(namespace_of(client), target["PrivateIpAddress"])
        kept.enter_context(started(namespace_of(target), "serve", "target"))
        wait_for_listener(namespace_of(target), CHECKED, "t")
        front, groups = _balancer(elb, ec2, places, target)
        wait_until_settled(nodes)
        wait_for(lambda: all(_is_healthy(elb, group) for group in groups), "the target is healthy")
        ends = Endpoint(namespace_of(client), client["PrivateIpAddress"]), Endpoint(namespace_of(target), front, target["PrivateIpAddress"])
        yield [*topologies, Topology("rookery", *ends)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=1, help="of each load; iperf3 takes whole ones")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with built(options.nodes) as topologies:
        figures = measure(topologies, options.rounds, options.seconds, (*LOADS, new_flows, first_packets))
    against = {base: ratios(figures, base) for base in PEERS}
    told = {"nodes": options.nodes, "peers": list(PEERS), "figures": figures, "against": against}
    print(json.dumps(told) if options.json else table(against, PEERS))


if __name__ == "__main__":
    main()
