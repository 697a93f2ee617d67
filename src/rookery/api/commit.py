"""From a handler's outcome to the store's transaction: all of it, or nothing.

Comparing the head key of the account and region makes its transactions serializable; comparing claims with "absent" keeps
every VNI and number unique over all accounts.
"""

from __future__ import annotations

from typing import NamedTuple

from rookery.api.idempotency import KEPT_SECONDS, TokenRecord
from rookery.api.operation import Outcome, Request
from rookery.api.state import Realm, RealmView, claim_key
from rookery.model import keys
from rookery.model.codec import encode
from rookery.model.objects import Resource
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
        _check_owner(request, resource)
        made.puts[keys.key_of(resource)] = encode(resource)
        if view.get(type(resource), resource.id) is None:
            _claim(made, resource)
    for resource in outcome.deletes:
        _delete(made, resource)
    if token is not None:
        made.puts[token[0]] = encode(token[1])
    made.deletes.extend(_expired_tokens(realm, request.now, made.puts))
    return made


def _check_owner(request: Request, resource: Resource) -> None:
    if (resource.account, resource.region) != (request.account, request.region):
        raise ValueError(f"{request.operation} made {resource.id} in another account or region")


def _claim(made: Transaction, resource: Resource) -> None:
    claim = claim_key(resource)
    if claim is None:
        return
    if claim in made.puts:
        raise Conflict(f"{resource.id} drew a number twice")
    made.compares.append(Compare(claim, 0))
    made.puts[claim] = resource.id.encode()


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
