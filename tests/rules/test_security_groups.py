"""Security groups on real packets (stage: conftest.py). The numbers are those of the behaviour's given/when/then cases."""

from __future__ import annotations

from rookery.tour.permission import rule
from tests.rules.conftest import ALL, PATIENCE
from tests.waiting import until


def connect(stage, name: str, other: str, port: int, kept: str = "kept") -> str:
    stage.talk(other)
    return stage.talk(name)("connect", kept, stage.address(other), port, PATIENCE)


def exchange(stage, name: str, kept: str = "kept") -> str:
    return stage.talk(name)("exchange", kept, PATIENCE)


def until_heard(talker, datagram: list) -> None:
    until(lambda: datagram in talker("what_was_heard", 53), f"{datagram} is heard")


def test_t4_01_a_tracked_session_outlives_its_rule_and_new_ones_do_not_begin(stage):
    only_client = rule("tcp", 22, source="10.30.1.10/32")
    stage.wear("server", group := stage.group([only_client]))
    assert connect(stage, "client", "server", 22) == "open"
    stage.revoke(group, only_client)
    assert exchange(stage, "client") == "alive"
    assert connect(stage, "client", "server", 22, "another") == "silent"


def test_t4_02_an_untracked_session_ends_with_its_rule(stage):
    stage.wear("server", group := stage.group([rule("tcp", 80)]))
    assert connect(stage, "client", "server", 80) == "open"
    assert exchange(stage, "client") == "alive"
    stage.revoke(group, rule("tcp", 80))
    assert exchange(stage, "client") == "silent"


def test_t4_03_with_a_narrow_egress_the_same_session_is_tracked(stage):
    stage.wear("server", group := stage.group([rule("tcp", 80)], [rule("tcp", 1024, 65535)]))
    assert connect(stage, "client", "server", 80) == "open"
    stage.revoke(group, rule("tcp", 80))
    assert exchange(stage, "client") == "alive"


def test_t4_04_answers_need_no_ingress_rule(stage):
    stage.wear("client", stage.group([]))
    assert connect(stage, "client", "server", 443) == "open"
    assert exchange(stage, "client") == "alive"


def test_t4_08_and_09_a_group_as_source_is_its_interfaces_as_long_as_they_have_it(stage):
    friends = stage.group(ALL)
    stage.wear("server", stage.group([rule("tcp", 22, source=friends)]))
    assert connect(stage, "client", "server", 22) == "silent"
    stage.wear("client", friends)
    assert connect(stage, "client", "server", 22) == "open"
    assert connect(stage, "near", "server", 22) == "silent"
    stage.wear("client", stage.group(ALL))
    assert connect(stage, "client", "server", 22, "another") == "silent"


def test_t4_10_two_groups_admit_what_either_admits(stage):
    stage.wear("server", stage.group([rule("tcp", 22)]), stage.group([rule("tcp", 443)]))
    assert [connect(stage, "client", "server", port) for port in (22, 443, 80)] == ["open", "open", "silent"]


def test_t4_17_an_answer_to_a_ping_leaves_through_an_empty_egress(stage):
    stage.wear("server", stage.group([rule("icmp")], []))
    assert stage.ping("client", stage.address("server"))
    assert not stage.ping("server", stage.address("client"))


def test_icmp_types_and_codes_are_told_apart(stage):
    stage.wear("server", stage.group([rule("icmp", 3, -1)]))
    assert not stage.ping("client", stage.address("server"))
    stage.wear("server", stage.group([rule("icmp", 8, 0)]))
    assert stage.ping("client", stage.address("server"))


def test_t2_16_other_groups_count_at_once_and_within_a_subnet_too(stage):
    stage.wear("near", stage.group([]))
    assert not stage.ping("client", stage.address("near"))
    stage.wear("near", stage.group([rule("icmp")]))
    assert stage.ping("client", stage.address("near"))


def test_what_the_sender_may_not_send_does_not_leave_it(stage):
    stage.wear("client", stage.group(ALL, [rule("tcp", 80)]))
    before = stage.drops("drop_security_group_egress")
    assert connect(stage, "client", "server", 22) == "silent"
    assert stage.drops("drop_security_group_egress") > before
    assert connect(stage, "client", "server", 80) == "open"


def test_udp_is_answered_to_who_asked_and_to_nobody_else(stage):
    stage.wear("client", stage.group([]))
    client, server = stage.talk("client"), stage.talk("server")
    client("say", 53, stage.address("server"), 53, 10)
    until_heard(server, [stage.address("client"), 53, 10])
    server("say", 53, stage.address("client"), 53, 20)
    until_heard(client, [stage.address("server"), 53, 20])
    before = stage.drops("drop_security_group_ingress")
    stage.talk("near")("say", 53, stage.address("client"), 53, 30)
    until(lambda: stage.drops("drop_security_group_ingress") > before, "the drop")


def test_udp_in_fragments_passes_where_its_first_fragment_does(stage):
    stage.wear("server", stage.group([rule("udp", 53)]))
    stage.talk("client")("say", 53, stage.address("server"), 53, 4000)
    until_heard(stage.talk("server"), [stage.address("client"), 53, 4000])


def test_a_prefix_list_is_its_entries(stage):
    made = stage.ec2.create_managed_prefix_list(
        PrefixListName="trusted", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "10.30.1.20/32"}]
    )["PrefixList"]
    stage.wear("server", stage.group([rule("tcp", 22, source=made["PrefixListId"])]))
    assert connect(stage, "client", "server", 22) == "silent"
    stage.now(
        stage.ec2.modify_managed_prefix_list(
            PrefixListId=made["PrefixListId"], CurrentVersion=1, AddEntries=[{"Cidr": "10.30.1.10/32"}]
        )
    )
    assert connect(stage, "client", "server", 22) == "open"


def test_the_trace_names_the_rule_that_admits_and_the_groups_that_do_not(stage):
    stage.wear("server", group := stage.group([rule("tcp", 22)]))
    rules = stage.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    admitting = next(r["SecurityGroupRuleId"] for r in rules["SecurityGroupRules"] if not r["IsEgress"])
    assert admitting in stage.trace(stage.instances["client"], stage.address("server"), "--tcp", "22")
    assert group in stage.trace(stage.instances["client"], stage.address("server"), "--tcp", "23")
