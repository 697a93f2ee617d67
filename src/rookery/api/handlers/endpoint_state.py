"""What state an endpoint is in: its service's word, its owner's, and whether its cells work by it.

pendingAcceptance  its service wants to be asked, and has not answered
pending            accepted; some cell does not work by it yet
available          packets pass (an endpoint that has been available stays so while subnets join it)
rejected           its service said no, before or after: nothing passes; its owner deletes it
deleting           its cells still have to let it go; then it is gone
"""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.handlers.cells import has_let_go, works_by
from rookery.api.operation import Outcome, View
from rookery.intent.privatelink import is_admitted
from rookery.model.objects import (
    NetworkInterface,
    PrivateZone,
    Resource,
    VpcEndpoint,
)

PENDING_ACCEPTANCE, PENDING, AVAILABLE = "pendingAcceptance", "pending", "available"
REJECTED, DELETING, FAILED = "rejected", "deleting", "failed"


def endpoint_state(view: View, endpoint: VpcEndpoint) -> str:
    service = view.endpoint_service(endpoint.service_account, endpoint.service_id)
    if endpoint.deleted:
        return DELETING
    if service is None:
        return FAILED  # its account was reset
    if endpoint.id in service.rejected:
        return REJECTED
    if not is_admitted(endpoint, service):
        return PENDING_ACCEPTANCE
    return AVAILABLE if endpoint.settled else PENDING


def endpoints_proceed(view: View) -> Outcome:
    """Of the housekeeper: every step that is due in the view's account."""
    puts: list[Resource] = []
    deletes: list[Resource] = []
    for endpoint in view.all(VpcEndpoint):
        if endpoint.deleted and _is_let_go(view, endpoint):
            deletes += [endpoint, *interfaces_of(view, endpoint), *zones_of(view, endpoint)]
        elif endpoint_state(view, endpoint) == PENDING and _works(view, endpoint):
            puts.append(replace(endpoint, settled=True))
    accounts = {one.service_account for one in (*puts, *deletes) if isinstance(one, VpcEndpoint)}
    return Outcome(puts=tuple(puts), deletes=tuple(deletes), beside=frozenset(accounts))


def _works(view: View, endpoint: VpcEndpoint) -> bool:
    service = view.endpoint_service(endpoint.service_account, endpoint.service_id)
    changed = max(view.changed_at(endpoint), view.changed_at(service) if service else 0)
    attachments = [one.cell_attachment for one in interfaces_of(view, endpoint)]
    return view.live >= changed and all(works_by(view, one, changed) for one in attachments if one)


def _is_let_go(view: View, endpoint: VpcEndpoint) -> bool:
    changed = view.changed_at(endpoint)
    return all(has_let_go(view, one, changed) for one in interfaces_of(view, endpoint))


def interfaces_of(view: View, endpoint: VpcEndpoint) -> list[NetworkInterface]:
    found = (view.get(NetworkInterface, one) for one in endpoint.interfaces.values())
    return [one for one in found if one is not None]


def zones_of(view: View, endpoint: VpcEndpoint) -> list[PrivateZone]:
    return [one for one in view.all(PrivateZone) if one.of == endpoint.id]
