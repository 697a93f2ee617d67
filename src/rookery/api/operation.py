"""The contract between the front (signature, parsing, DryRun, tokens, filters, pages) and the handlers.

A handler is pure: it reads a View, and returns an Outcome or raises an ApiError. It does no I/O, keeps no state, and may be
run again when another request committed in between.

    @operation("CreateVpc")
    def create_vpc(request: Request, view: View) -> Outcome: ...

Request.parameters are the operation's input as botocore names it ({"CidrBlock": "10.0.0.0/16"}), typed and complete:
required members are there, enumerations checked. The result is the operation's output as botocore names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from rookery.api.held import Held
from rookery.api.quotas import Quotas
from rookery.model.balancers import LoadBalancer
from rookery.model.objects import (
    AddressPool,
    Cell,
    CellStatus,
    ConsoleOutput,
    ElasticIp,
    Host,
    InstanceStatus,
    NetworkInterface,
    Resource,
    SecurityGroup,
    Shard,
    TargetHealth,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
    VpcPeering,
)

R = TypeVar("R", bound=Resource)


class ApiError(Exception):
    """What a client is told. `code` is AWS's own, byte for byte; the front turns it into XML."""

    def __init__(self, code: str, message: str, status: int = 400):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Ids(Protocol):
    """New ids: '<prefix>-' and 17 hex digits. Not yet used by anything in the account; the commit claims their numbers."""

    def new(self, prefix: str) -> str: ...

    def mac(self) -> str: ...


class Request(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    region: str
    operation: str
    parameters: dict[str, Any]
    now: float  # unix seconds
    ids: Any  # Ids
    access_key: str = ""
    request_id: str = ""
    drawn: Any = None  # what `draws` made for this operation
    quotas: Quotas = Quotas()
    full_cells: frozenset[str] = frozenset()  # which have no room for what this request would place there (rookery.api.room)


class View(Protocol):
    """The account's things in the request's region, at one revision.

    A VpcPeering is a thing of both its sides: `get` and `all` show it to its accepter too, though it lies with its requester.
    The peer_ methods show what a peering connection lets one side see of the other, in the same AWS region, and nothing
    else of other accounts; an Outcome that was decided by it names the account (`Outcome.beside`)."""

    @property
    def account(self) -> str: ...

    @property
    def revision(self) -> int:
        """The store's."""

    @property
    def live(self) -> int:
        """Every host concerned has applied the state up to this revision."""

    @property
    def mtu(self) -> int:
        """Of instances in this Rookery region."""

    def get(self, kind: type[R], resource_id: str) -> R | None: ...

    def all(self, kind: type[R]) -> Collection[R]:
        """In order of creation."""

    def in_vpc(self, kind: type[R], vpc_id: str) -> Iterable[R]:
        """Those whose `vpc_id` it is (an index, not a scan)."""

    def held_addresses(self, subnet_id: str) -> Held:
        """Address or delegated prefix -> id of the network interface that holds it (an index, not a scan)."""

    def detaching(self) -> Iterable[NetworkInterface]:
        """Those whose host still has to unplug them (an index, not a scan)."""

    def public_pools(self) -> Collection[AddressPool]:
        """Of the Rookery region. Empty: it has no public addresses."""

    def public_addresses(self) -> Collection[str]:
        """Those that are held, by whichever account: they are not free, and nothing else is told of them."""

    def everybodys(self, kind: type[R]) -> Iterable[R]:
        """Of all accounts and AWS regions: what a cell has room for. Nothing of it is told but that there is no room."""

    def cells(self) -> Collection[Cell]:
        """Of Hyperplane, in the whole Rookery region."""

    def shards(self, cell: str) -> Mapping[str, Shard]:
        """Which nodes of the cell serve whom, by account: so that those of a new one can lie apart from all others."""

    def cell_status(self, cell: str) -> CellStatus | None:
        """None: none of its nodes has said anything yet."""

    def target_health(self) -> Collection[TargetHealth]:
        """What the checks of each cell found; of all accounts."""

    def elastic_ips_of(self, interface_id: str) -> Collection[ElasticIp]:
        """Those associated with it (an index, not a scan)."""

    def hosts(self) -> Iterable[Host]: ...

    def instances_on(self, host: str) -> int:
        """How many instances of all accounts the host holds (placement)."""

    def console(self, instance_id: str) -> ConsoleOutput | None:
        """The end of what its console said; None: nothing was told yet."""

    def status(self, instance_id: str) -> InstanceStatus | None: ...

    def peer_vpc(self, account: str, vpc_id: str) -> Vpc | None:
        """That it exists, and its blocks."""

    def peer_groups(self, account: str, vpc_id: str) -> Iterable[SecurityGroup]:
        """The security groups of a VPC, to which rules of its peers may refer, and whose rules refer to those of peers."""

    def peerings_of(self, account: str, vpc_id: str) -> Iterable[VpcPeering]:
        """Of a VPC at either side: for the quota, which is the VPC's."""

    def endpoint_service(self, account: str, service_id: str) -> VpcEndpointService | None:
        """Of whichever account, as an endpoint names it."""

    def balancer_of(self, account: str, balancer_id: str) -> LoadBalancer | None:
        """Of whichever account, as an endpoint service names it."""

    def endpoint_services(self) -> Iterable[VpcEndpointService]:
        """Of all accounts: who may know of one is in it."""

    def endpoints_of(self, service_id: str) -> Iterable[VpcEndpoint]:
        """Of all accounts: what the service's owner may know of them."""

    def region_of_peering(self, peering_id: str) -> str:
        """The AWS region in which the account has it; empty: none."""

    def changed_at(self, resource: Resource) -> int:
        """The store revision that last changed it."""

    def made_at(self, resource: Resource) -> int:
        """The store revision that made a VPC, subnet, route table, network ACL or network interface."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the request changes and what is answered. All of it is committed at once, or nothing.

    `puts` may hold a VpcPeering that lies with another account, by whoever is its accepter. `beside`: other accounts by whose
    things, in this AWS region, it was decided; it is not committed if they have changed since. Both sides of a VpcPeering
    that is put are beside without being named. `shards`: the account's, where it had none; those of one cell are given one after
    the other, whoever asks. `cells`: in which it takes rows; rookery.api.room says so, no handler."""

    result: dict[str, Any] = {}
    puts: tuple[Resource, ...] = ()
    deletes: tuple[Resource, ...] = ()
    beside: frozenset[str] = frozenset()
    shards: tuple[Shard, ...] = ()
    cells: frozenset[str] = frozenset()


Handler = Callable[[Request, View], Outcome]

HANDLERS: dict[str, Handler] = {}
BALANCING_HANDLERS: dict[str, Handler] = {}  # those of ELBv2: the two services have names in common
HANDLERS_OF = {"ec2": HANDLERS, "elasticloadbalancing": BALANCING_HANDLERS}

Draw = Callable[[Mapping[str, Any]], Any]

DRAWS: dict[str, Draw] = {}


def operation(name: str) -> Callable[[Handler], Handler]:
    """Registers the handler of the EC2 operation `name`."""

    def register(handler: Handler) -> Handler:
        HANDLERS[name] = handler
        return handler

    return register


def balancing_operation(name: str) -> Callable[[Handler], Handler]:
    """Registers the handler of the ELBv2 operation `name`."""

    def register(handler: Handler) -> Handler:
        BALANCING_HANDLERS[name] = handler
        return handler

    return register


def draws(name: str) -> Callable[[Draw], Draw]:
    """Registers what the handler of `name` needs by chance and what takes too long for the event loop (a key of RSA).

    The engine draws it once for a request, from its parameters, in a thread; the handler finds it in `request.drawn` and
    stays a function of what it is given."""

    def register(draw: Draw) -> Draw:
        DRAWS[name] = draw
        return draw

    return register
