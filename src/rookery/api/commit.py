"""From a handler's outcome to the store's transaction: all of it, or nothing.

Comparing the head key of the account and region makes its transactions serializable; comparing claims with "absent" keeps
every VNI, number and public address unique over all accounts.

A peering connection has two accounts. Whatever puts one compares the heads of both and writes both, so that what its two
sides do in the same moment is serializable too; so does whatever puts or deletes a VPC endpoint, with the head of its service's
account. Nothing else is ever written to another account.
"""

from __future__ import annotations

from typing import NamedTuple

from rookery.api.idempotency import KEPT_SECONDS, TokenRecord
from rookery.api.operation import Outcome, Request
from rookery.api.state import Realm, RealmView, claim_key, public_address_of
from rookery.model import keys
from rookery.model.codec import encode
from rookery.model.objects import Resource, Shard, VpcEndpoint, VpcPeering
from rookery.store.interface import Compare, Conflict

_SWEPT_TOKENS = 8  # expired tokens that one commit takes along


class Transaction(NamedTuple):
    compares: list[Compare]
    puts: dict[str, bytes]
    deletes: list[str]


def transaction_of(
    request: Request, outcome: Outcome, view: RealmView, realm: Realm, token: tuple[str, TokenRecord] | None
) -> Transaction:
    """Raises Conflict when two of the outcome's new things drew the same number: the handler runs again."""
    head = keys.head_key(request.account, request.region)
    made = Transaction([Compare(head, realm.head)], {head: request.request_id.encode()}, [])
    for resource in outcome.puts:
        _check_owner(request, resource, view)
        made.puts[keys.key_of(resource)] = encode(resource)
        if view.get(type(resource), resource.id) is None:
            _claim(made, resource)
    for resource in outcome.deletes:
        _delete(made, resource)
    _claim_public_addresses(made, outcome, view)
    for shard in outcome.shards:
        _give_shard(made, shard, view)
    for cell in sorted(outcome.cells):
        made.compares.append(Compare(keys.room_key(cell), view.room_changed_at(cell)))
        made.puts[keys.room_key(cell)] = request.request_id.encode()
    _compare_others(made, request, outcome, view)
    if token is not None:
        made.puts[token[0]] = encode(token[1])
    made.deletes.extend(_expired_tokens(realm, request.now, made.puts))
    return made


def _check_owner(request: Request, resource: Resource, view: RealmView) -> None:
    owned = (resource.account, resource.region) == (request.account, request.region)
    if not owned and not _is_accepted_by(request, resource, view):
        raise ValueError(f"{request.operation} made {resource.id} in another account or region")


def _is_accepted_by(request: Request, resource: Resource, view: RealmView) -> bool:
    """Whether it is a peering connection that exists, stays where it lies, and has the caller as its accepter."""
    before = view.get(VpcPeering, resource.id)
    if before is None or not isinstance(resource, VpcPeering):
        return False
    stays = (before.account, before.region) == (resource.account, resource.region)
    return stays and (before.accepter.account, before.accepter.region) == (request.account, request.region)


def _compare_others(made: Transaction, request: Request, outcome: Outcome, view: RealmView) -> None:
    """The heads of other accounts. One that never used this AWS region has none, and does not get one: it would
    be taken for used."""
    peerings = [one for one in outcome.puts if isinstance(one, VpcPeering)]
    touched = {side.account for one in peerings for side in (one.requester, one.accepter)}
    endpoints = (one for one in (*outcome.puts, *outcome.deletes) if isinstance(one, VpcEndpoint))
    touched |= {one.service_account for one in endpoints}  # its service is not deleted in the same moment
    for account in sorted((touched | outcome.beside) - {request.account}):
        head, revision = keys.head_key(account, request.region), view.head_of(account)
        made.compares.append(Compare(head, revision))
        if account in touched and revision:
            made.puts[head] = request.request_id.encode()


def _claim(made: Transaction, resource: Resource) -> None:
    claim = claim_key(resource)
    if claim is None:
        return
    if claim in made.puts:
        raise Conflict(f"{resource.id} drew a number twice")
    made.compares.append(Compare(claim, 0))
    made.puts[claim] = resource.id.encode()


def _claim_public_addresses(made: Transaction, outcome: Outcome, view: RealmView) -> None:
    """They come and go while their holder lives. One that changes hands within the outcome stays claimed."""
    known = [view.get(type(one), one.id) for one in (*outcome.puts, *outcome.deletes)]
    before = {public_address_of(one): one.id for one in known if one is not None}
    after: dict[str, str] = {}
    for one in outcome.puts:
        address = public_address_of(one)
        if address and address in after:
            raise ValueError(f"{one.id} and {after[address]} would hold {address}")
        after[address] = one.id
    for address in (before.keys() | after.keys()) - {""}:
        claim = keys.public_claim(address)
        if address not in after:
            made.deletes.append(claim)
        elif address not in before:
            made.compares.append(Compare(claim, 0))
        if after.get(address) not in (None, before.get(address)):
            made.puts[claim] = after[address].encode()


def _give_shard(made: Transaction, shard: Shard, view: RealmView) -> None:
    """It was chosen to lie apart from those of all other accounts: the cell is written again as it is, and compared, so that of two
    accounts which begin in the same moment the second sees the shard of the first."""
    cell = next(one for one in view.cells() if one.name == shard.cell)
    made.compares.append(Compare(keys.cell_key(cell.name), view.cell_changed_at(cell.name)))
    made.puts[keys.cell_key(cell.name)] = encode(cell)
    made.compares.append(Compare(keys.shard_key(shard.cell, shard.account), 0))
    made.puts[keys.shard_key(shard.cell, shard.account)] = encode(shard)


def _delete(made: Transaction, resource: Resource) -> None:
    made.deletes.append(keys.key_of(resource))
    claim = claim_key(resource)
    if claim is not None:
        made.deletes.append(claim)


def _expired_tokens(realm: Realm, now: float, puts: dict[str, bytes]) -> list[str]:
    expired: list[str] = []
    for key, record in realm.tokens.items():
        if record.created + KEPT_SECONDS > now or len(expired) == _SWEPT_TOKENS:
            break  # oldest first
        if key not in puts:
            expired.append(key)
    return expired
