"""The index, step by step, against the whole computation over the whole state (rookery.intent.whole).

The states drawn here are wilder than the API allows: instances without subnets, two interfaces with one address,
attachments to a host where the instance is not. Right is what the pure function says.
"""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rookery.intent.digest import digest_of
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.mapping.copy import IntentCopy
from rookery.mapping.index import Index
from rookery.mapping.protocol import Snapshot
from rookery.model.codec import encode
from rookery.model.keys import host_key, key_of
from rookery.model.objects import (
    Attachment,
    CidrAssociation,
    Host,
    Instance,
    NetworkInterface,
    RouteTable,
    RouteTableAssociation,
    Subnet,
    Vpc,
)
from rookery.store.interface import Batch, Change, Entry, Range

MTU = 1500
OWNER = {"account": "123456789012", "region": "us-east-1"}
HOSTS = ("host-1", "host-2", "host-3")
VPCS = tuple(f"vpc-{n:017x}" for n in (0xA1, 0xA2))
SUBNETS = tuple(f"subnet-{n:017x}" for n in (0xB1, 0xB2, 0xB3))
TABLES = tuple(f"rtb-{n:017x}" for n in (0xC1, 0xC2, 0xC3))
INSTANCES = tuple(f"i-{n:017x}" for n in (0xD1, 0xD2, 0xD3, 0xD4))
INTERFACES = tuple(f"eni-{n:017x}" for n in (0xE1, 0xE2, 0xE3, 0xE4, 0xE5))
ADDRESSES = ("10.0.1.4", "10.0.1.5", "10.0.2.4", "10.0.2.5")
CIDRS = ("10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16")


def vpc(identity: str, cidrs: list[str]) -> Vpc:
    return Vpc(**OWNER, id=identity, cidr_associations=tuple(CidrAssociation(f"a-{c}", c) for c in cidrs))


def subnet(identity: str, vpc_id: str, cidr: str) -> Subnet:
    return Subnet(**OWNER, id=identity, vpc_id=vpc_id, cidr=cidr, zone="us-east-1a")


def table(identity: str, vpc_id: str, subnet_ids: list[str]) -> RouteTable:
    associations = tuple(RouteTableAssociation(f"as-{s}", s) for s in subnet_ids)
    return RouteTable(**OWNER, id=identity, vpc_id=vpc_id, associations=associations)


def attachment(instance_id: str, host: str, index: int, detaching: bool = False) -> Attachment:
    return Attachment(id="att", instance_id=instance_id, host=host, device_index=index, detaching=detaching)


def interface(
    identity: str, subnet_id: str, addresses: list[str], attached: Attachment | None, check: bool = True
) -> NetworkInterface:
    return NetworkInterface(
        **OWNER,
        id=identity,
        vpc_id=VPCS[0],
        subnet_id=subnet_id,
        zone="us-east-1a",
        mac=f"02:00:00:00:00:{identity[-2:]}",
        addresses=tuple(addresses),
        attachment=attached,
        source_dest_check=check,
    )


def instance(identity: str, host: str, wanted: str = "running", boot: int = 1) -> Instance:
    return Instance(
        **OWNER,
        id=identity,
        image_id="ami-1",
        instance_type="t3.nano",
        subnet_id=SUBNETS[0],
        vpc_id=VPCS[0],
        zone="us-east-1a",
        host=host,
        interface_ids=(),
        wanted=wanted,
        boot=boot,
    )


def host(name: str, last: int) -> Host:
    return Host(name=name, zone=0, address=f"100.64.1.{last}")


vpcs = st.builds(vpc, st.sampled_from(VPCS), st.lists(st.sampled_from(CIDRS), min_size=1, max_size=2))
subnets = st.builds(
    subnet, st.sampled_from(SUBNETS), st.sampled_from(VPCS), st.sampled_from(("10.0.1.0/24", "10.0.2.0/24"))
)
tables = st.builds(
    table,
    st.sampled_from(TABLES),
    st.sampled_from(VPCS),
    st.lists(st.sampled_from(("", *SUBNETS)), max_size=2),
)
interfaces = st.builds(
    interface,
    st.sampled_from(INTERFACES),
    st.sampled_from(SUBNETS),
    st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2),
    st.one_of(
        st.none(),
        st.builds(attachment, st.sampled_from(INSTANCES), st.sampled_from(HOSTS), st.integers(0, 1), st.booleans()),
    ),
    st.booleans(),
)
instances = st.builds(
    instance,
    st.sampled_from(INSTANCES),
    st.sampled_from(HOSTS),
    st.sampled_from(("running", "running", "running", "stopped", "terminated")),
    st.integers(1, 2),
)
hosts = st.builds(host, st.sampled_from(HOSTS), st.integers(10, 12))
things = st.one_of(vpcs, subnets, tables, interfaces, interfaces, interfaces, instances, instances, hosts)

# two VPCs | host-1: instances 1, 2 of the first VPC | host-2: 3 of the first, 4 of the second | host-3: none
WORLD = [
    *(host(name, 10 + n) for n, name in enumerate(HOSTS)),
    *(vpc(identity, [CIDRS[0]]) for identity in VPCS),
    subnet(SUBNETS[0], VPCS[0], "10.0.1.0/24"),
    subnet(SUBNETS[1], VPCS[0], "10.0.2.0/24"),
    subnet(SUBNETS[2], VPCS[1], "10.0.1.0/24"),
    table(TABLES[0], VPCS[0], [""]),
    table(TABLES[1], VPCS[0], [SUBNETS[1]]),
    table(TABLES[2], VPCS[1], [""]),
    *(instance(identity, HOSTS[n // 2]) for n, identity in enumerate(INSTANCES)),
    interface(INTERFACES[0], SUBNETS[0], ["10.0.1.4"], attachment(INSTANCES[0], HOSTS[0], 0)),
    interface(INTERFACES[1], SUBNETS[1], ["10.0.2.4"], attachment(INSTANCES[1], HOSTS[0], 0)),
    interface(INTERFACES[2], SUBNETS[0], ["10.0.1.5"], attachment(INSTANCES[2], HOSTS[1], 0)),
    interface(INTERFACES[3], SUBNETS[2], ["10.0.1.4"], attachment(INSTANCES[3], HOSTS[1], 0)),
]


def key(thing: msgspec.Struct) -> str:
    return host_key(thing.name) if isinstance(thing, Host) else key_of(thing)


class IndexAgainstWhole(RuleBasedStateMachine):
    """Hosts 1 and 2 subscribe and come back now and then; each keeps a copy that it feeds with deltas only."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(MTU)
        self.revision = 0
        self.state: dict[str, Entry] = {}
        self.copies: dict[str, IntentCopy] = {}

    @initialize(first=st.lists(things, max_size=3))
    def a_store_with_something_in_it(self, first: list) -> None:
        self._store({key(thing): encode(thing) for thing in WORLD + first})
        assert self.index.load(self._range()) == {}

    @rule(changed=st.lists(things, max_size=4))
    def things_change(self, changed: list) -> None:
        self._commit({key(thing): encode(thing) for thing in changed})

    @rule(data=st.data())
    def something_is_deleted(self, data: st.DataObject) -> None:
        if self.state:
            self._commit(dict.fromkeys(data.draw(st.lists(st.sampled_from(sorted(self.state)), max_size=3))))

    @rule(data=st.data(), changed=st.lists(things, max_size=2))
    def something_is_deleted_and_something_changes_at_once(self, data: st.DataObject, changed: list) -> None:
        if self.state:
            gone = data.draw(st.sampled_from(sorted(self.state)))
            self._commit({gone: None} | {key(thing): encode(thing) for thing in changed})

    @rule(changed=st.lists(things, max_size=4), data=st.data())
    def batches_are_missed_and_all_is_read_again(self, changed: list, data: st.DataObject) -> None:
        gone = data.draw(st.lists(st.sampled_from(sorted(self.state)), max_size=3)) if self.state else []
        self._store(dict.fromkeys(gone) | {key(thing): encode(thing) for thing in changed})
        self._tell(self.index.load(self._range()))

    @rule(name=st.sampled_from(HOSTS[:2]))
    def a_host_comes(self, name: str) -> None:
        if name in self.copies:
            return
        self.index.subscribe(name)
        intent = self.index.intent(name)
        whole = Snapshot(
            generation=intent.generation,
            host=name,
            last=True,
            instances=list(intent.instances.values()),
            mappings=list(intent.mappings.values()),
            routes=list(intent.routes.values()),
        )
        self.copies[name] = IntentCopy()
        self.copies[name].take_part(whole)

    @rule(name=st.sampled_from(HOSTS[:2]))
    def a_host_goes(self, name: str) -> None:
        if self.copies.pop(name, None):
            self.index.unsubscribe(name)

    @invariant()
    def every_host_has_what_the_whole_state_says(self) -> None:
        state = State(self.state.values(), self.revision, MTU)
        for name, copy in self.copies.items():
            right = host_intent(state, name)
            assert self.index.intent(name) == right
            assert msgspec.structs.replace(copy.intent, generation=self.revision) == right
            assert self.index.digest(name) == digest_of(right)
            assert copy.digest() == digest_of(right)

    def _commit(self, changes: dict[str, bytes | None]) -> None:
        self._store(changes)
        batch = Batch(self.revision, [Change(*item) for item in sorted(changes.items())], self._time())
        self._tell(self.index.feed(batch))

    def _tell(self, changes: dict) -> None:
        for name, change in changes.items():
            intent = self.copies[name].intent
            self.copies[name].apply(change.delta(intent.generation, self.revision))

    def _store(self, changes: dict[str, bytes | None]) -> None:
        self.revision += 1
        for name, value in changes.items():
            self.state.pop(name, None)
            if value is not None:
                self.state[name] = Entry(name, value, self.revision, self._time())

    def _time(self) -> float:
        return 1_700_000_000.5 + self.revision

    def _range(self) -> Range:
        return Range(sorted(self.state.values()), self.revision)


IndexAgainstWhole.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestIndexAgainstWhole = IndexAgainstWhole.TestCase
