"""What is answered to a request: a pure function of the request, of who asks, of the key and of the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

import httptools

from rookery.dataplane.formats import CallerSource
from rookery.host.services.metadata import tokens
from rookery.host.services.metadata.contents import ENABLED
from rookery.host.services.metadata.directory import Directory, find
from rookery.intent.host import InstanceIntent

LATEST = "latest"
VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20",
    "2016-04-19", "2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01",
    "2020-08-24", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-07-09", "2022-09-24",
    "2024-04-11", LATEST,
)  # fmt: skip
TOKEN_PATH = ["api", "token"]
TOKEN_METHODS = "OPTIONS, PUT"
METHODS = "GET, HEAD, OPTIONS"

HOST = b"host"
TOKEN = b"x-aws-ec2-metadata-token"
TOKEN_SECONDS = b"x-aws-ec2-metadata-token-ttl-seconds"
FORWARDED = b"x-forwarded-for"
HEADERS = frozenset({HOST, TOKEN, TOKEN_SECONDS, FORWARDED})  # the ones that change an answer
NUMBER = re.compile(rb"[0-9]{1,5}")

TEXT, BYTES, PAGE = "text/plain", "application/octet-stream", "text/html"
PHRASES = {
    200: "OK",
    301: "Moved Permanently",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Not Allowed",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Request(NamedTuple):
    method: str
    target: bytes  # as in the request's line
    headers: Mapping[bytes, bytes]  # those of HEADERS, by lower-case name; of many the values joined by ", "


class Asker(NamedTuple):
    instance: InstanceIntent
    contents: Directory  # rookery.host.services.metadata.contents of it
    source: CallerSource


class Path(NamedTuple):
    names: list[str]  # without empty ones: clients double slashes, and end leaves with one
    slash: bool  # it ends with one


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    hop_limit: int = 0  # 0: it may travel as far as any


def answer(request: Request, asker: Asker, key: bytes, now: float) -> Answer:
    """`now`: unix seconds. Whether the method is HEAD, which leaves off the body, is the sender's business."""
    if not _is_open(asker):
        return refusal(403)
    path = _path(request.target)
    if path is None:
        return refusal(400)
    if path.names[1:] == TOKEN_PATH and path.names[0] in VERSIONS:
        return _token(request, asker, path.names[0], key, now)
    return _item(request, asker, path, key, now)


def refusal(status: int, *headers: tuple[str, str]) -> Answer:
    """With a page that says so, as AWS sends one."""
    words = f"{status} - {PHRASES[status]}"
    page = (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"'
        ' "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">\n'
        f"<head><title>{words}</title></head>\n<body><h1>{words}</h1></body>\n</html>\n"
    )
    return Answer(status, page.encode(), PAGE, headers)


def _is_open(asker: Asker) -> bool:
    """AWS documents 403 for an endpoint that is turned off. The IPv6 endpoint is one of two and answers alike: a client that
    asks the wrong one learns so at once rather than by a timeout."""
    options = asker.instance.metadata.options
    return options.endpoint == ENABLED and (asker.source == CallerSource.IPV4 or options.ipv6 == ENABLED)


def _path(target: bytes) -> Path | None:
    """A proxy's clients name the whole URL; a query changes nothing. None: there is no path in it."""
    try:
        raw = target if target.startswith(b"/") else httptools.parse_url(target).path or b"/"
        raw = raw.partition(b"?")[0]
        if not raw.startswith(b"/"):
            return None
        return Path([unquote_to_bytes(name).decode() for name in raw.split(b"/") if name], raw.endswith(b"/"))
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        return None


def _token(request: Request, asker: Asker, version: str, key: bytes, now: float) -> Answer:
    """Whatever is answered to a PUT goes no further than the instance's owner lets tokens go."""
    if request.method == "OPTIONS":
        return Answer(200, headers=(("Allow", TOKEN_METHODS),))
    if request.method != "PUT":
        return refusal(405, ("Allow", TOKEN_METHODS))
    if FORWARDED in request.headers or version != LATEST:
        found = refusal(403)
    elif not (seconds := _wanted_seconds(request)):
        found = refusal(400)
    else:
        made = tokens.token(key, _holder(asker), now, seconds)
        found = Answer(200, made.encode(), headers=(_seconds_header(seconds),))
    return found._replace(hop_limit=asker.instance.metadata.options.hop_limit)


def _wanted_seconds(request: Request) -> int:
    """0: none that are allowed."""
    said = request.headers.get(TOKEN_SECONDS, b"")
    seconds = int(said) if NUMBER.fullmatch(said) else 0
    return seconds if seconds <= tokens.LONGEST else 0


def _holder(asker: Asker) -> tokens.Holder:
    return tokens.Holder(asker.instance.id, asker.instance.boot)


def _seconds_header(seconds: int) -> tuple[str, str]:
    return ("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", str(seconds))


def _item(request: Request, asker: Asker, path: Path, key: bytes, now: float) -> Answer:
    if request.method == "OPTIONS":
        return Answer(200, headers=(("Allow", METHODS),))
    if request.method not in ("GET", "HEAD"):
        return refusal(405, ("Allow", METHODS))
    shown = request.headers.get(TOKEN)
    left = tokens.seconds_left(key, _holder(asker), now, shown) if shown is not None else 0
    if not left and (shown is not None or asker.instance.metadata.options.tokens == "required"):
        return refusal(401)
    found = _found(asker.contents, path)
    return found._replace(headers=(*found.headers, _seconds_header(left))) if left else found


def _found(contents: Directory, path: Path) -> Answer:
    if not path.names:
        return Answer(200, "\n".join(VERSIONS).encode())
    found = find(contents, path.names[1:]) if path.names[0] in VERSIONS else None
    if found is None:
        return refusal(404)
    if isinstance(found, bytes):
        return Answer(200, found, BYTES)
    if not isinstance(found, Directory):
        return Answer(200, found.encode())
    if not path.slash:
        whole = "".join(f"/{quote(name, safe='')}" for name in path.names)
        return Answer(301, headers=(("Location", f"{whole}/"),))
    return Answer(200, found.listing.encode())
