"""What to do next with an instance."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rookery.host.instances.plan import (
    STOPPED_ITSELF,
    Found,
    Phase,
    Plug,
    Step,
    next_step,
    plugs_of,
    status_of,
)
from rookery.intent.host import InstanceIntent, InterfaceIntent

ENI = "eni-0aaaaaaaa00000001"
PLUGGED = frozenset({Plug(ENI, 0)})


def an_interface(eni: str = ENI) -> InterfaceIntent:
    return InterfaceIntent(
        id=eni, vni=1, number=1, subnet=2, route_table=3, router="10.0.0.1", primary="10.0.0.5",
        addresses=("10.0.0.5",), prefix_length=24, mac="02:00:00:00:00:05", router_mac="02:00:00:00:00:01",
        mtu=1500, source_dest_check=True, device_index=0,
    )  # fmt: skip


def wants(state: str, boot: int = 1) -> InstanceIntent:
    return InstanceIntent(
        id="i-00000001", wanted=state, boot=boot, hostname="ip-10-0-0-5", domain="ec2.internal",
        user_data="", interfaces=(an_interface(),),
    )  # fmt: skip


def finds(phase: Phase, boot: int = 1, devices: frozenset[Plug] = PLUGGED) -> Found:
    return Found(boot=boot, phase=phase, since=5.0, devices=devices)


def after(step: Step, wanted: InstanceIntent | None, found: Found | None) -> Found | None:
    """What a successful step leaves behind: the machine, as the plan imagines it."""
    if step is Step.REMOVE:
        return None
    if step is Step.HALT:
        return finds(Phase.FAILED if found.phase is Phase.FAILED else Phase.STOPPED, found.boot, frozenset())
    return finds(Phase.RUNNING, wanted.boot)


WANTED = st.none() | st.builds(wants, st.sampled_from(["running", "stopped", "terminated"]), st.integers(1, 3))
FOUND = st.none() | st.builds(
    finds, st.sampled_from(Phase), st.integers(0, 3), st.sampled_from([frozenset(), PLUGGED, frozenset({Plug(ENI, 1)})])
)


@given(WANTED, FOUND)
def test_a_few_steps_reach_what_is_wanted_and_then_nothing_happens(wanted, found):
    for _ in range(3):
        step = next_step(wanted, found)
        if step is Step.NOTHING:
            break
        assert wanted is None or status_of(wanted, found, 9.0) is None or step is Step.WIRE
        found = after(step, wanted, found)
    assert next_step(wanted, found) is Step.NOTHING
    if wanted is not None:
        assert status_of(wanted, found, 9.0).boot == wanted.boot


def test_a_running_instance_of_the_wanted_boot_is_left_alone():
    assert next_step(wants("running", 2), finds(Phase.RUNNING, 2)) is Step.NOTHING


def test_a_reboot_ends_the_old_boot_first():
    assert next_step(wants("running", 2), finds(Phase.RUNNING, 1)) is Step.HALT


def test_a_boot_that_the_agent_did_not_live_to_see_is_made_again():
    assert next_step(wants("running"), finds(Phase.UNFINISHED)) is Step.BOOT


def test_an_instance_whose_init_died_is_unplugged_and_reported_stopped_and_not_started_again():
    assert next_step(wants("running"), finds(Phase.DEAD)) is Step.HALT
    status = status_of(wants("running"), finds(Phase.STOPPED, devices=frozenset()), 9.0)
    assert (status.state, status.since, status.message) == ("stopped", 5.0, STOPPED_ITSELF)


def test_a_failed_boot_waits_for_the_next_one():
    failed = finds(Phase.FAILED, 1, frozenset())
    assert next_step(wants("running", 1), failed) is Step.NOTHING
    assert next_step(wants("running", 2), failed) is Step.BOOT


def test_a_lost_device_is_plugged_again():
    assert next_step(wants("running"), finds(Phase.RUNNING, devices=frozenset())) is Step.WIRE


def test_an_interface_at_another_index_is_plugged_anew():
    assert next_step(wants("running"), finds(Phase.RUNNING, devices=frozenset({Plug(ENI, 1)}))) is Step.WIRE


def test_what_is_said_of_a_running_instance_names_what_is_really_plugged_in():
    assert status_of(wants("running"), finds(Phase.RUNNING), 9.0).interfaces == (ENI,)
    assert status_of(wants("running"), finds(Phase.RUNNING, devices=frozenset()), 9.0).interfaces == ()


def test_termination_is_reported_when_nothing_is_left():
    assert status_of(wants("terminated"), finds(Phase.RUNNING), 9.0) is None
    assert status_of(wants("terminated"), None, 9.0).state == "terminated"


def test_an_ipv6_address_that_came_or_went_is_given_or_taken_while_the_guest_runs() -> None:
    plain = wants("running")
    first = msgspec.structs.replace(plain.interfaces[0], router_ipv6="2001:db8::1", ipv6_addresses=("2001:db8::5",))
    wanted = msgspec.structs.replace(plain, interfaces=(first,))
    given = frozenset({(first.id, "2001:db8::5")})
    running = msgspec.structs.replace(finds(Phase.RUNNING), devices=frozenset(plugs_of(wanted)))
    assert next_step(wanted, running) is Step.WIRE
    assert next_step(wanted, msgspec.structs.replace(running, ipv6=given)) is Step.NOTHING
    assert next_step(plain, msgspec.structs.replace(running, ipv6=given)) is Step.WIRE
