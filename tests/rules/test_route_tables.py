"""Routes to interfaces, on real packets (stage: conftest.py). `box` becomes an appliance: it forwards, its check is off.

    client 10.30.1.10 --left--> box 10.30.3.10 (middle) --> server 10.30.2.10 (right)
"""

from __future__ import annotations

import threading

from rookery.tour.permission import rule
from tests.rules.appliance import check, forwarded
from tests.rules.conftest import ALL, PATIENCE
from tests.waiting import until

RIGHT, LEFT = "10.30.2.0/24", "10.30.1.0/24"


def test_t3_05_a_route_for_a_sibling_subnet_leads_through_the_appliance(stage, tables, box):
    tables.route("left", RIGHT, box)
    tables.route("right", LEFT, box)
    before = forwarded(stage)
    assert stage.ping("client", stage.address("server"))
    assert forwarded(stage) == before + 2
    assert stage.ping("client", stage.address("near"))
    assert forwarded(stage) == before + 2


def test_behind_an_appliance_a_group_does_not_match_and_a_cidr_does(stage, tables, box):
    friends = stage.group(ALL)
    stage.wear("client", friends)
    stage.wear("server", stage.group([rule("icmp", source=friends)]))
    assert stage.ping("client", stage.address("server"))
    tables.route("left", RIGHT, box)
    assert not stage.ping("client", stage.address("server"))
    stage.wear("server", stage.group([rule("icmp", source=LEFT)]))
    assert stage.ping("client", stage.address("server"))


def test_an_appliance_with_its_check_on_gets_nothing_for_others(stage, tables):
    before = stage.drops("drop_destination_check")
    tables.route("left", RIGHT, stage.interfaces["box"])
    assert not stage.ping("client", stage.address("server"))
    assert stage.drops("drop_destination_check") > before


def test_t3_07_a_local_route_is_replaced_and_restored(stage, tables, box):
    table, whole = tables.of["left"], "10.30.0.0/16"
    stage.now(
        stage.ec2.replace_route(RouteTableId=table, DestinationCidrBlock=whole, NetworkInterfaceId=box)
    )
    before = forwarded(stage)
    assert stage.ping("client", stage.address("server"))
    assert forwarded(stage) > before
    stage.now(stage.ec2.replace_route(RouteTableId=table, DestinationCidrBlock=whole, LocalTarget=True))
    before = forwarded(stage)
    assert stage.ping("client", stage.address("server"))
    assert forwarded(stage) == before


def test_t3_14_the_route_to_a_terminated_appliance_is_a_black_hole(stage, tables):
    stage.launch("mortal", "middle", "10.30.3.66")
    stage.wait_until_running()
    tables.route("left", RIGHT, stage.interfaces["mortal"])
    assert tables.state("left", RIGHT) == "active"
    stage.ec2.terminate_instances(InstanceIds=[stage.instances.pop("mortal")])
    until(lambda: tables.state("left", RIGHT) == "blackhole", "the route is a black hole")
    before = stage.drops("drop_blackhole")
    until(lambda: not stage.ping("client", stage.address("server")), "the packets stop")
    assert stage.drops("drop_blackhole") > before


def test_t3_15_a_replaced_route_loses_no_ping_of_ten_milliseconds(stage, tables, box):
    tables.route("left", RIGHT, box)
    said = []
    command = ("ping", "-c150", "-i0.01", "-W1", stage.address("server"))
    pinging = threading.Thread(target=lambda: said.append(stage.run("client", *command)))
    pinging.start()
    for _ in range(5):
        for more in ({"NetworkInterfaceId": stage.interfaces["server"]}, {"NetworkInterfaceId": box}):
            stage.now(
                stage.ec2.replace_route(
                    RouteTableId=tables.of["left"], DestinationCidrBlock=RIGHT, **more
                )
            )
    pinging.join()
    assert "150 received" in said[0].stdout.decode()


def test_t2_05_a_foreign_source_leaves_only_with_the_check_off_and_a_rule_that_admits_it(stage):
    stage.wear("server", stage.group([rule("icmp", source="1.2.3.4/32")]))
    stage.run("box", "ip", "addr", "add", "1.2.3.4/32", "dev", "lo")
    try:
        before = stage.drops("drop_source_address")
        assert not stage.ping("box", stage.address("server"), "-I", "1.2.3.4")
        assert stage.drops("drop_source_address") > before
        heard = received(stage)
        check(stage, "box", on=False)
        stage.ping("box", stage.address("server"), "-I", "1.2.3.4")
        until(lambda: received(stage) > heard, "the server's kernel counts the echo request")
    finally:
        check(stage, "box", on=True)
        stage.run("box", "ip", "addr", "del", "1.2.3.4/32", "dev", "lo")


def received(stage) -> int:
    """Echo requests that reached the server."""
    said = stage.run("server", "grep", "-h", "^Icmp:", "/proc/net/snmp").stdout.decode().splitlines()
    return int(dict(zip(said[0].split(), said[1].split(), strict=True))["InEchos"])


def test_t2_06_the_addresses_of_a_delegated_prefix_are_the_interfaces_own(stage):
    eni = stage.interfaces["near"]
    answer = stage.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4Prefixes=["10.30.1.112/28"])
    stage.now(answer)
    stage.run("near", "ip", "addr", "add", "10.30.1.116/32", "dev", "lo")
    try:
        assert stage.ping("server", "10.30.1.116")
        assert stage.ping("near", stage.address("server"), "-I", "10.30.1.116")
    finally:
        stage.run("near", "ip", "addr", "del", "10.30.1.116/32", "dev", "lo")
        answer = stage.ec2.unassign_private_ip_addresses(
            NetworkInterfaceId=eni, Ipv4Prefixes=["10.30.1.112/28"]
        )
        stage.now(answer)
    assert not stage.ping("server", "10.30.1.116")


def test_the_trace_tells_the_way_through_the_appliance(stage, tables, box):
    tables.route("left", RIGHT, box)
    assert box in stage.trace(stage.instances["client"], stage.address("server"), "--icmp")
    assert stage.talk("client")("connect", "kept", stage.address("server"), 23, PATIENCE) == "refused"
