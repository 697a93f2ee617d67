"""One HTTP request, from its bytes to the answer's bytes (docs/life-of-a-request.md tells it in words).

Whatever a client sends is answered with an AWS error. What nobody foresaw is logged under its request id and answered with
InternalError, and is a mistake in Rookery.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rookery.api import sts
from rookery.api.credentials import UnsealError, unseal
from rookery.api.engine import Answer, Engine
from rookery.api.errors import missing_parameter
from rookery.api.ids import RandomIds
from rookery.api.metrics_file import MetricsFile
from rookery.api.monitoring import run as monitoring
from rookery.api.operation import ApiError, Request
from rookery.api.quotas import Quotas
from rookery.api.signature import Claim, HttpRequest, claim_of, verify
from rookery.api.state import State
from rookery.api.wire.answer import answer, error_answer
from rookery.api.wire.form import fields, tree
from rookery.api.wire.rpc import error_content, rpc_of, target_of, unknown_operation
from rookery.api.wire.service import BALANCING, MONITORING, Service, WireOperation, service
from rookery.model.objects import AccessKey
from rookery.store.interface import Store, StoreUnavailable

log = logging.getLogger("rookery.api")

_PRESIGNED = frozenset(
    f"X-Amz-{name}"
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token")
)
# By its version one knows a service before its signature is read.
_VERSIONS = {"sts": "Version=2011-06-15", BALANCING: "Version=2015-12-01", MONITORING: "Version=2010-08-01"}
_CLASSIC = "2012-06-01"  # the older API under the same name
# What a parser says of a request, as the EC2 API names it: ELBv2 and CloudWatch have one word for all of it.
_MALFORMED = frozenset({"InvalidParameterValue", "MissingParameter", "UnknownParameter"})


class HttpAnswer(NamedTuple):
    status: int
    body: bytes
    request_id: str
    generation: int | None = None
    media_type: str = "text/xml;charset=UTF-8"
    headers: Mapping[str, str] = {}


class Front:
    """Everything between HTTP and the handlers."""

    def __init__(
        self,
        store: Store,
        sealing_key: bytes,
        quotas: Quotas | None = None,
        clock: Callable[[], float] = time.time,
        *,
        state: State | None = None,
        metrics: MetricsFile | None = None,
    ):
        self.state = state or State(store)
        self._engine = Engine(store, self.state)
        self._metrics = metrics or MetricsFile(None)
        self._sealing_key = sealing_key
        self._quotas = quotas or Quotas()
        self._clock = clock
        self._ids = RandomIds()
        self._secrets: dict[str, tuple[AccessKey, str]] = {}

    async def handle(self, http: HttpRequest) -> HttpAnswer:
        """Never raises."""
        call = _Call(str(uuid.uuid4()), time.monotonic(), _attempt(http))
        try:
            found = await self._answer(http, call)
        except ApiError as error:
            found = _refusal(error, call, http)
        except StoreUnavailable as error:
            log.warning("the store does not answer", extra={"request_id": call.request_id, "why": str(error)})
            found = _refusal(
                ApiError("ServiceUnavailable", "The store does not answer. Try again.", 503), call, http
            )
        except Exception:
            log.exception("a request failed unforeseen", extra={"request_id": call.request_id})
            found = _refusal(ApiError("InternalError", "An internal error has occurred", 500), call, http)
        call.log(found.status)
        return found

    async def _answer(self, http: HttpRequest, call: _Call) -> HttpAnswer:
        _check_http(http)
        claim = claim_of(http)
        call.service = claim.credential.service
        await self.state.catch_up()
        verify(http, claim, self._secret, self._clock())
        chosen = service(claim.credential.service)
        operation, request = self._request(http, claim, chosen, call)
        done = await self._run(request, operation, chosen)
        rpc = rpc_of(http)
        if rpc is not None:
            body = rpc.dumps(operation.checked(done.result))
            return HttpAnswer(200, body, call.request_id, done.generation, rpc.media_type, rpc.headers)
        body = answer(chosen, operation, done.result, call.request_id)
        return HttpAnswer(200, body, call.request_id, done.generation)

    def _request(
        self, http: HttpRequest, claim: Claim, chosen: Service, call: _Call
    ) -> tuple[WireOperation, Request]:
        operation, parameters = _asked(http, chosen)
        call.action = operation.name
        key = self.state.access_keys[claim.credential.access_key]
        call.account, call.region = key.account, claim.credential.region
        request = Request(
            account=key.account,
            region=claim.credential.region,
            operation=operation.name,
            parameters=parameters(),
            now=self._clock(),
            ids=self._ids,
            access_key=key.access_key,
            request_id=call.request_id,
            quotas=self._quotas,
        )
        return operation, request

    async def _run(self, request: Request, operation: WireOperation, chosen: Service) -> Answer:
        if chosen.name == "sts":
            return Answer(sts.run(request), None)
        if chosen.name == MONITORING:
            return Answer(await monitoring.run(request, self._metrics), None)
        return await self._engine.run(request, operation)

    def _secret(self, access_key: str) -> str | None:
        """None: the key is unknown."""
        key = self.state.access_keys.get(access_key)
        if key is None:
            return None
        kept = self._secrets.get(access_key)
        if kept is not None and kept[0] == key:
            return kept[1]
        try:
            secret = unseal(self._sealing_key, key)
        except UnsealError as error:
            log.error("a key cannot be used", extra={"why": str(error)})
            return None
        self._secrets[access_key] = (key, secret)
        return secret


class _Call:
    """What the log says of a request."""

    def __init__(self, request_id: str, began: float, attempt: str):
        self.request_id = request_id
        self.began = began
        self.attempt = attempt
        self.service = self.action = self.account = self.region = self.code = ""

    def log(self, status: int) -> None:
        fields_ = {
            "request_id": self.request_id,
            "account": self.account,
            "region": self.region,
            "action": self.action,
            "status": status,
            "code": self.code,
            "attempt": self.attempt,
            "milliseconds": round((time.monotonic() - self.began) * 1000, 3),
        }
        log.info("request", extra=fields_)


def _attempt(http: HttpRequest) -> str:
    """Of clients that say so, when it is not the first: what a request that seemed lost did, its next attempt finds done."""
    said = "".join(http.headers.get("amz-sdk-request", []))
    number = said.partition("attempt=")[2].partition(";")[0]
    return "" if number == "1" else number[:3]


def _check_http(http: HttpRequest) -> None:
    if http.method not in ("GET", "POST"):
        raise ApiError("MethodNotAllowed", "The API is asked with GET or POST.", 405)
    if http.path not in ("", "/") and rpc_of(http) is None:
        raise ApiError("InvalidRequest", "The API is served at the path '/'.", 404)


def _asked(http: HttpRequest, chosen: Service) -> tuple[WireOperation, Callable[[], dict[str, Any]]]:
    """The operation, and what reads its parameters. Raises ApiError."""
    rpc = rpc_of(http)
    if rpc is None:
        form = _form(http)
        operation = _operation(form, chosen)
        return operation, lambda: _parameters(operation, form)
    target, name = target_of(rpc, http)
    found = chosen.operation(name) if target == chosen.target else None
    if found is None:
        raise unknown_operation()
    return found, lambda: _in_words_of(found, lambda: found.read(rpc.loads(http.body)))


def _form(http: HttpRequest) -> dict[str, str]:
    """Of the query string and the body; the signature's own fields left out."""
    raw = http.body
    if http.query:
        query = http.query.encode("latin-1")
        raw = query + b"&" + raw if raw else query
    form = fields(raw)
    if http.query:
        form = {name: value for name, value in form.items() if name not in _PRESIGNED}
    return form


def _operation(form: dict[str, str], chosen: Service) -> WireOperation:
    action, version = form.get("Action"), form.get("Version")
    if not action:
        raise missing_parameter("Action")
    if version is None:
        raise missing_parameter("Version")
    if chosen.name == BALANCING and version == _CLASSIC:
        raise ApiError("UnsupportedOperation", "Rookery does not support Classic Load Balancers yet.")
    if version != chosen.version:
        why = f"The requested version ({version[:20]}) of service {chosen.name} does not exist"
        raise ApiError("NoSuchVersion", why)
    operation = chosen.operation(action)
    if operation is None:
        raise ApiError("InvalidAction", f"The action {action[:80]} is not valid for this web service.")
    return operation


def _parameters(operation: WireOperation, form: dict[str, str]) -> dict[str, Any]:
    """Raises ApiError."""
    return _in_words_of(operation, lambda: operation.parse(tree(form)))


def _in_words_of(operation: WireOperation, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Raises ApiError."""
    try:
        return read()
    except ApiError as error:
        if operation.service in (BALANCING, MONITORING) and error.code in _MALFORMED:
            raise ApiError("ValidationError", error.message) from error
        raise


def _refusal(error: ApiError, call: _Call, http: HttpRequest) -> HttpAnswer:
    call.code = error.code
    rpc = rpc_of(http)
    if rpc is not None:
        content, headers = error_content(error, service(MONITORING).error_shape(error.code))
        return HttpAnswer(error.status, rpc.dumps(content), call.request_id, None, rpc.media_type, {**rpc.headers, **headers})
    body = error_answer(error, call.request_id, _spoken(call.service, http))
    return HttpAnswer(error.status, body, call.request_id)


def _spoken(service_name: str, http: HttpRequest) -> str:
    """In whose form a refusal is told. Clients of services that are not built read the query protocol's; EC2's is EC2's alone."""
    if service_name in ("", "ec2"):
        asked = http.query.encode("latin-1") + http.body
        return next((name for name, version in _VERSIONS.items() if version.encode() in asked), "ec2")
    return service_name if service_name in _VERSIONS else "sts"
