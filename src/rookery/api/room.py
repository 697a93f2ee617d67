"""Whether a cell has room for what a request makes. Whatever a request is: what its outcome would take is counted, so that nothing is stored that
no file of a cell could hold. The cells in which it takes rows are written by its transaction, and compared: of two requests at once, of
whomever, the second counts what the first took.

Where there are several cells, a request is refused when none has room: one that would place something in a cell that proves full is
decided again without that cell. What lives in a cell and grows there finds room there, or none.

Nobody takes more than a share of a cell (Quotas.cell_share), so that nobody's listeners lock others out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TypeVar

from msgspec.structs import replace

from rookery.api.operation import ApiError, Handler, Outcome, Request, View
from rookery.hyperplane import cell_file
from rookery.intent.cell_rows import KINDS, Rows, rows_by_account
from rookery.model.objects import Instance, NetworkInterface, Resource

R = TypeVar("R", bound=Resource)

ROOM = Rows(
    attachments=cell_file.ATTACHMENTS.rows,
    addresses=cell_file.ADDRESSES.rows,
    services=cell_file.SERVICES.rows,
    choices=cell_file.CHOICES.rows,
    targets=cell_file.TARGETS.rows,
    groups=cell_file.CHECKS.rows,
)
WORDS = {
    "attachments": "addresses of gateways, load balancers and endpoints",
    "addresses": "private addresses of NAT gateways",
    "services": "ports that are listened on, each protocol and zone and endpoint counted",
    "choices": "targets of all ports that are listened on",
    "targets": "targets",
    "groups": "target groups in use",
}

# What AWS says where its own limit is reached. By the operation, where that says it; else by what there is no room for.
_OF_OPERATIONS = {
    "CreateNatGateway": "NatGatewayLimitExceeded",
    "AssociateNatGatewayAddress": "AddressLimitExceeded",
    "AssignPrivateNatGatewayAddress": "PrivateIpAddressLimitExceeded",
    "CreateVpcEndpoint": "VpcEndpointLimitExceeded",
    "ModifyVpcEndpoint": "VpcEndpointLimitExceeded",
    "SetSubnets": "AvailabilityZoneNotSupported",
    "ModifyLoadBalancerAttributes": "InvalidConfigurationRequest",
    "ModifyTargetGroupAttributes": "InvalidConfigurationRequest",
}
_BALANCING = {
    "CreateLoadBalancer": {"attachments": "TooManyLoadBalancers"},
    "CreateListener": {"services": "TooManyListeners", "groups": "TooManyUniqueTargetGroupsPerLoadBalancer"},
    "ModifyListener": {"services": "TooManyListeners", "groups": "TooManyUniqueTargetGroupsPerLoadBalancer"},
}
_TARGETS = {"choices": "TooManyTargets", "targets": "TooManyTargets"}
NO_CAPACITY = "InsufficientCapacity"  # AWS has no limit there


class NoRoom(ApiError):
    """`cell`: which has none. Caught by with_room."""

    def __init__(self, cell: str, code: str, message: str, status: int = 400):
        super().__init__(code, message, status)
        self.cell = cell


def with_room(request: Request, view: View, handler: Handler) -> Outcome:
    """The handler's outcome, which names the cells in which it takes rows. Raises ApiError: no cell has room for what it places anew, or
    one has none for more of what is there."""
    refused: NoRoom | None = None
    while True:
        try:
            outcome = handler(request, view)
        except ApiError as error:
            raise refused or error from None
        try:
            return _counted(request, view, outcome)
        except NoRoom as error:
            refused = refused or error
            if error.cell in request.full_cells or not _places(outcome, view, error.cell):
                raise refused from None
            request = replace(request, full_cells=request.full_cells | {error.cell})


def _places(outcome: Outcome, view: View, cell: str) -> bool:
    """Whether something comes to live there."""
    interfaces = (one for one in outcome.puts if isinstance(one, NetworkInterface) and one.cell_attachment)
    return any(
        one.cell_attachment.cell == cell and view.get(NetworkInterface, one.id) is None for one in interfaces if one.cell_attachment
    )


def fullness(view: View, cell: str, more: int = 0) -> tuple[float, int]:
    """How much of the cell is taken, of that kind of which the least is left; and its attachments, `more` of them counted in."""
    taken = reduce(Rows.plus, rows_by_account(view.everybodys, cell).values(), Rows(attachments=more))
    return max(mine / all_of_it for mine, all_of_it in zip(taken, ROOM, strict=True)), taken.attachments


def _counted(request: Request, view: View, outcome: Outcome) -> Outcome:
    """Raises NoRoom."""
    if not any(_may_take(one) for one in outcome.puts):
        return outcome
    cells = frozenset(cell.name for cell in view.cells() if _takes_rows(request, view, outcome, cell.name))
    return replace(outcome, cells=cells) if cells else outcome


def _may_take(one: Resource) -> bool:
    if isinstance(one, NetworkInterface):
        return one.cell_attachment is not None
    return isinstance(one, KINDS) and not isinstance(one, Instance)


def _takes_rows(request: Request, view: View, outcome: Outcome, cell: str) -> bool:
    before = rows_by_account(view.everybodys, cell)
    after = rows_by_account(_Afterwards(view, outcome), cell)
    taken = [kind for kind in Rows._fields if _total(after, kind) > _total(before, kind)]
    for kind in taken:
        _check(request, cell, kind, before, after)
    return bool(taken)


class _Afterwards:
    """What everybody will have (rookery.intent.cell_rows.Everybodys)."""

    def __init__(self, view: View, outcome: Outcome):
        self._view = view
        self._puts = {one.id: one for one in outcome.puts}
        self._other = {*self._puts, *(one.id for one in outcome.deletes)}

    def __call__(self, kind: type[R], /) -> Iterable[R]:
        yield from (one for one in self._view.everybodys(kind) if one.id not in self._other)
        yield from (one for one in self._puts.values() if isinstance(one, kind))


def _total(counted: Mapping[str, Rows], kind: str) -> int:
    return int(getattr(reduce(Rows.plus, counted.values(), Rows()), kind))


def _check(request: Request, cell: str, kind: str, before: Mapping[str, Rows], after: Mapping[str, Rows]) -> None:
    room = getattr(ROOM, kind)
    most = room * request.quotas.cell_share // 100
    for account, rows in after.items():
        if getattr(rows, kind) > max(most, getattr(before.get(account, Rows()), kind)):
            why = f"An account may have {most} of the {room} {WORDS[kind]} for which the cell {cell} of Hyperplane has room"
            raise _refusal(request, cell, kind, why)
    if _total(after, kind) > room:
        raise _refusal(request, cell, kind, f"The cell {cell} of Hyperplane has no room: {room} {WORDS[kind]} are all that it holds")


def _refusal(request: Request, cell: str, kind: str, why: str) -> NoRoom:
    of_kinds = _TARGETS | _BALANCING.get(request.operation, {})
    is_balancing = request.operation in _BALANCING or request.operation == "RegisterTargets"
    by_kind = of_kinds.get(kind) if is_balancing else None
    code = _OF_OPERATIONS.get(request.operation) or by_kind
    return NoRoom(cell, code, why) if code else NoRoom(cell, NO_CAPACITY, why, status=500)
