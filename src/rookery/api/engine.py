"""Runs an operation: reads or changes, once or again after a conflict, with DryRun and ClientToken done for all handlers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.accounts import beginning
from rookery.api.commit import transaction_of
from rookery.api.idempotency import KEPT_SECONDS, TokenRecord, answer_again, check_token, record_of
from rookery.api.operation import DRAWS, HANDLERS_OF, ApiError, Handler, Outcome, Request
from rookery.api.room import with_room
from rookery.api.state import RealmView, State
from rookery.api.wire.service import WireOperation
from rookery.model.keys import token_key
from rookery.store.interface import Conflict, Store

MAX_ATTEMPTS = 10


class Answer(NamedTuple):
    result: dict[str, Any]
    generation: int | None  # the revision that this request made


class Engine:
    """`state` must have caught up in the same turn of the loop in which `run` is called."""

    def __init__(self, store: Store, state: State):
        self._store = store
        self._state = state
        self._begun: set[tuple[str, str]] = set()
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self, request: Request, operation: WireOperation) -> Answer:
        """Raises ApiError, StoreError."""
        handler = HANDLERS_OF[operation.service].get(request.operation)
        if handler is None:
            raise ApiError(
                "UnsupportedOperation", f"Rookery does not support the operation {request.operation} yet."
            )
        home = (request.account, request.region)
        if home not in self._begun or not self._state.realm(*home).head:
            await self._begin(request)
            self._begun.add(home)
        if operation.is_read_only:
            return Answer(self._read(request, handler), None)
        if draw := DRAWS.get(request.operation):
            request = replace(request, drawn=await asyncio.to_thread(draw, request.parameters))
        async with self._turns[request.account, request.region]:
            return await self._change(request, operation, handler)

    async def _begin(self, request: Request) -> None:
        """Until nothing is missing that handlers may count on. Another process may be faster."""
        for _ in range(MAX_ATTEMPTS):
            made = beginning(self._state, request)
            if made is None:
                return
            with contextlib.suppress(Conflict):
                await self._store.txn(made.compares, made.puts, made.deletes)
            await self._state.catch_up()
        raise _too_many_changes()

    def _view(self, request: Request) -> RealmView:
        return self._state.view(request.account, request.region)

    def _read(self, request: Request, handler: Handler) -> dict[str, Any]:
        outcome = handler(request, self._view(request))
        if outcome.puts or outcome.deletes:
            raise ValueError(f"{request.operation} reads, and may not change anything")
        _refuse_dry_run(request)
        return outcome.result

    async def _change(self, request: Request, operation: WireOperation, handler: Handler) -> Answer:
        """One attempt after the other; between those of one process nobody else changes this account and region."""
        for _ in range(MAX_ATTEMPTS):
            await self._state.catch_up()
            try:
                return await self._attempt(request, operation, handler)
            except Conflict:
                continue  # another process was faster, or a drawn number is taken
        raise _too_many_changes()

    async def _attempt(self, request: Request, operation: WireOperation, handler: Handler) -> Answer:
        view = self._view(request)
        token = _token_of(request, operation)
        before = self._record(request, view, token)
        if before is not None:
            result = answer_again(request, view, before)
            _refuse_dry_run(request)
            return Answer(result, None)
        outcome = with_room(request, view, handler)
        _refuse_dry_run(request)
        if not (outcome.puts or outcome.deletes):
            return Answer(outcome.result, None)
        return Answer(outcome.result, await self._commit(request, outcome, view, token))

    def _record(self, request: Request, view: RealmView, token: str) -> TokenRecord | None:
        record = view.token(token) if token else None
        return record if record and record.created + KEPT_SECONDS > request.now else None

    async def _commit(self, request: Request, outcome: Outcome, view: RealmView, token: str) -> int:
        realm = self._state.realm(request.account, request.region)
        record = (token, record_of(request, outcome)) if token else None
        made = transaction_of(request, outcome, view, realm, record)
        generation = await self._store.txn(made.compares, made.puts, made.deletes)
        await self._state.catch_up()
        return generation


def _too_many_changes() -> ApiError:
    why = "Too many requests change this account at once. Try again."
    return ApiError("RequestLimitExceeded", why, 503)


def _token_of(request: Request, operation: WireOperation) -> str:
    """The store key of the request's ClientToken; empty: it has none."""
    token = request.parameters.get("ClientToken") if operation.takes_token else None
    if not token:
        return ""
    check_token(token)
    return token_key(request.account, request.region, request.operation, token)


def _refuse_dry_run(request: Request) -> None:
    """After the handler has checked everything, before anything is done."""
    if request.parameters.get("DryRun"):
        raise ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
