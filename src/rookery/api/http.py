"""The ASGI application: bytes in, bytes out, and a limit on how many."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rookery.api.front import Front, HttpAnswer
from rookery.api.operation import ApiError
from rookery.api.scrape import Scrape
from rookery.api.signature import HttpRequest
from rookery.api.wire.answer import error_answer

MAX_BODY = 1 << 20
MAX_QUERY = 1 << 16
MAX_DRAINED = (
    16 << 20
)  # read and thrown away, so that the client reads the answer instead of a broken connection

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def application(front: Front, lifespan: Lifespan | None = None, scrape: Scrape | None = None) -> Starlette:
    """`scrape` None: nobody is told metrics but by signed requests."""
    scraped = [Route("/metrics", scrape.respond, methods=["GET"])] if scrape else []
    routes = [Route("/health", _health, methods=["GET"]), *scraped, Route("/{path:path}", Endpoint(front))]
    return Starlette(routes=routes, lifespan=lifespan)


async def _health(_request: StarletteRequest) -> Response:
    """The process lives and answers; nothing more."""
    return PlainTextResponse("ok\n")


class Endpoint:
    """Everything but /health, any method."""

    def __init__(self, front: Front):
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        body = await _body(StarletteRequest(scope, receive))
        if body is None or len(scope["query_string"]) > MAX_QUERY:
            return _too_large()
        return _response(await self._front.handle(_http_request(scope, body)))


async def _body(request: StarletteRequest) -> bytes | None:
    """None: it is too large; what there was is read as far as is decent."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MAX_DRAINED:
        return None
    return await _collected(request.stream())


async def _collected(chunks: AsyncIterator[bytes]) -> bytes | None:
    kept: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size <= MAX_BODY:
            kept.append(chunk)
        elif size > MAX_DRAINED:
            break
    return b"".join(kept) if size <= MAX_BODY else None


def _http_request(scope: Scope, body: bytes) -> HttpRequest:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    raw_path = scope.get("raw_path") or scope["path"].encode()
    return HttpRequest(
        method=scope["method"],
        path=raw_path.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
    )


def _too_large() -> Response:
    error = ApiError("RequestEntityTooLarge", f"A request has at most {MAX_BODY} bytes.", 413)
    request_id = str(uuid.uuid4())
    return _response(HttpAnswer(413, error_answer(error, request_id, "ec2"), request_id))


def _response(answer: HttpAnswer) -> Response:
    headers = {"x-amzn-requestid": answer.request_id}
    if answer.generation is not None:
        headers["x-rookery-generation"] = str(answer.generation)
    return Response(answer.body, answer.status, {**headers, **answer.headers}, media_type=answer.media_type)
