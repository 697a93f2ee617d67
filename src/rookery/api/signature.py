"""AWS Signature Version 4, the verifier's side: header form and presigned query form.

The canonical request is rebuilt from the signed headers only, and the body's hash from the body itself. Source: "Create a
signed AWS API request" in the IAM guide; botocore's signer is the oracle of the tests.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from rookery.api.operation import ApiError

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_SECONDS = 300
MAX_EXPIRES = 7 * 24 * 3600
SERVICES = ("ec2", "sts", "elasticloadbalancing", "monitoring")
MAX_HEADER = 8192

_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z\Z")
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,20}){1,3}-[0-9]{1,2}\Z")
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


class HttpRequest(NamedTuple):
    """As it came: nothing decoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, list[str]]  # by lower-case name
    body: bytes

    def header(self, name: str) -> str:
        return ",".join(self.headers.get(name, ()))


class Credential(NamedTuple):
    """The scope that the client claims."""

    access_key: str
    date: str
    region: str
    service: str


class Claim(NamedTuple):
    """What a request says about its signature, before any of it is believed."""

    credential: Credential
    signed_headers: list[str]
    signature: str
    date: str  # 20261123T040506Z
    expires: int | None  # presigned: seconds
    token: str


def claim_of(request: HttpRequest) -> Claim:
    """Raises MissingAuthenticationToken, IncompleteSignature."""
    if "authorization" in request.headers:
        return _header_claim(request)
    if "X-Amz-Algorithm=" in request.query or "X-Amz-Signature=" in request.query:
        return _query_claim(request)
    raise ApiError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


def verify(request: HttpRequest, claim: Claim, secret_of: Callable[[str], str | None], now: float) -> None:
    """Raises AuthFailure and RequestExpired (of services other than EC2 InvalidClientTokenId), SignatureDoesNotMatch; UnsupportedOperation
    for a service that is not built, to which AWS_ENDPOINT_URL sends clients too."""
    _check_scope(claim)
    secret = None if claim.token else secret_of(claim.credential.access_key)
    if secret is None:
        raise _unknown_key(claim.credential.service)
    _check_payload_header(request)
    expected = _signature(request, claim, secret)
    if not hmac.compare_digest(expected, claim.signature.encode("utf-8", "replace")):
        raise _mismatch(
            "The request signature we calculated does not match the signature you provided. "
            "Check your secret access key and signing method."
        )
    _check_time(claim, now)


def _header_claim(request: HttpRequest) -> Claim:
    authorization = request.header("authorization")
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM or len(authorization) > MAX_HEADER:
        raise _incomplete(f"Authorization must begin with '{ALGORITHM}'.")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
    return Claim(
        credential=_credential(parts["Credential"]),
        signed_headers=_signed_headers(parts["SignedHeaders"]),
        signature=parts["Signature"],
        date=_date(request.header("x-amz-date")),
        expires=None,
        token=request.header("x-amz-security-token"),
    )


def _query_claim(request: HttpRequest) -> Claim:
    given = dict(_query_pairs(request.query))
    for name in ("Algorithm", "Credential", "SignedHeaders", "Signature", "Date", "Expires"):
        if not given.get(f"X-Amz-{name}"):
            raise _incomplete(f"The query string requires 'X-Amz-{name}'.")
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"X-Amz-Algorithm must be '{ALGORITHM}'.")
    return Claim(
        credential=_credential(given["X-Amz-Credential"]),
        signed_headers=_signed_headers(given["X-Amz-SignedHeaders"]),
        signature=given["X-Amz-Signature"],
        date=_date(given["X-Amz-Date"]),
        expires=_expires(given["X-Amz-Expires"]),
        token=given.get("X-Amz-Security-Token", ""),
    )


def _credential(text: str) -> Credential:
    parts = text.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not _ACCESS_KEY.match(parts[0]):
        raise _incomplete(
            "Credential must be of the form <access key>/<date>/<region>/<service>/aws4_request."
        )
    return Credential(*parts[:4])


def _signed_headers(text: str) -> list[str]:
    names = text.split(";")
    if "host" not in names:
        raise _incomplete("'host' must be a signed header.")
    if names != sorted(set(names)) or text != text.lower():
        raise _incomplete("SignedHeaders must be sorted, lower case, and each given once.")
    return names


def _date(text: str) -> str:
    if not _DATE.match(text) or _seconds(text) is None:
        raise _incomplete("The request requires a date of the form YYYYMMDDTHHMMSSZ ('X-Amz-Date').")
    return text


def _seconds(date: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None


def _expires(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_EXPIRES and len(text) <= 9):
        raise _incomplete(f"X-Amz-Expires must lie between 1 and {MAX_EXPIRES} seconds.")
    return int(text)


def _check_scope(claim: Claim) -> None:
    credential = claim.credential
    if credential.service not in SERVICES:
        why = f"Rookery does not offer the service {credential.service[:40]} yet, only {' and '.join(SERVICES)}."
        raise ApiError("UnsupportedOperation", why)
    if not _REGION.match(credential.region):
        raise _mismatch("Credential should be scoped to a valid region.")
    if credential.date != claim.date[:8]:
        raise _mismatch("The date in the credential scope is not the date of the request.")


def _check_time(claim: Claim, now: float) -> None:
    signed = _seconds(claim.date) or 0
    until = signed + (SKEW_SECONDS if claim.expires is None else claim.expires)
    if signed - SKEW_SECONDS <= now <= until:
        return
    if claim.credential.service != "ec2":
        raise _mismatch(f"Signature expired or not yet current: {claim.date}.")
    raise ApiError("RequestExpired", "Request has expired.", 400)


def _check_payload_header(request: HttpRequest) -> None:
    given = request.header("x-amz-content-sha256")
    if given and given != hashlib.sha256(request.body).hexdigest():
        raise _mismatch("The header 'x-amz-content-sha256' is not the SHA-256 of the body.")


def _signature(request: HttpRequest, claim: Claim, secret: str) -> bytes:
    scope = "/".join((*claim.credential[1:], "aws4_request"))
    canonical = hashlib.sha256(canonical_request(request, claim.signed_headers)).hexdigest()
    text = f"{ALGORITHM}\n{claim.date}\n{scope}\n{canonical}"
    key = signing_key(secret, *claim.credential[1:])
    return hmac.digest(key, text.encode(), "sha256").hex().encode()


def canonical_request(request: HttpRequest, signed_headers: list[str]) -> bytes:
    headers = "".join(f"{name}:{_canonical_value(request, name)}\n" for name in signed_headers)
    return "\n".join(
        (
            request.method,
            quote(request.path or "/", safe="/~"),
            _canonical_query(request.query),
            headers,
            ";".join(signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        )
    ).encode("utf-8", "surrogateescape")


def _canonical_value(request: HttpRequest, name: str) -> str:
    if name not in request.headers:
        raise _mismatch(f"The signed header '{name}' is not in the request.")
    return ",".join(" ".join(value.split()) for value in request.headers[name])


def _canonical_query(query: str) -> str:
    pairs = [(k, v) for k, v in _query_pairs(query) if k != "X-Amz-Signature"] if query else ()
    encoded = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in pairs)
    return "&".join(f"{key}={value}" for key, value in encoded)


def _query_pairs(query: str) -> list[tuple[str, str]]:
    fields = (field.partition("=") for field in query.split("&") if field)
    return [(_decoded(key), _decoded(value)) for key, _, value in fields]


def _decoded(text: str) -> str:
    return (
        unquote(text, errors="surrogateescape").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


@lru_cache(maxsize=4096)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _unknown_key(service: str) -> ApiError:
    if service != "ec2":
        return ApiError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    return ApiError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)


def _mismatch(why: str) -> ApiError:
    return ApiError("SignatureDoesNotMatch", why, 403)


def _incomplete(why: str) -> ApiError:
    return ApiError("IncompleteSignature", why, 400)
