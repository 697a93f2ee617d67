"""Who a part is, by its certificate: the names in it, and TLS with it. The authority that signs is rookery.mapping.authority; no agent
loads that.

A part proves who it is by a SPIFFE URI in its certificate, so no message has to claim it:
    spiffe://rookery/<region>/host/<name>    a host's agent
    spiffe://rookery/<region>/mapping        the mapping service
The authority's key signs for one region only; its certificate says which.

CertificateError   a file is missing or not what it should be, or a name cannot stand in a certificate: told to the operator
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

HOST = "host"
MAPPING = "mapping"
CLOCK_SKEW = 300  # seconds by which a certificate is valid before it is issued


class CertificateError(Exception):
    """Caught by the supervisor, and by whoever starts a part with wrong files."""


@dataclass(frozen=True)
class Identity:
    """The files of one part. The key's is readable by its owner only."""

    authority: Path
    certificate: Path
    key: Path


def uri_of(region_name: str, role: str, name: str = "") -> str:
    return f"spiffe://rookery/{region_name}/{role}" + (f"/{name}" if name else "")


def identity_of(directory: Path, role: str, name: str = "") -> Identity:
    stem = f"{role}-{name}" if name else role
    return Identity(directory / "authority.pem", directory / f"{stem}.pem", directory / f"{stem}.key")


def server_context(identity: Identity) -> ssl.SSLContext:
    """TLS 1.3, and only clients that the authority signed for. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _load_into(context, identity)


def client_context(identity: Identity) -> ssl.SSLContext:
    """TLS 1.3. Who the server is stands in its URI, not in a host name: see `peer_uris`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return _load_into(context, identity)


def peer_uris(certificate: dict | None) -> list[str]:
    """The URIs in what `getpeercert()` returned."""
    names = (certificate or {}).get("subjectAltName", ())
    return [value for kind, value in names if kind == "URI"]


def issued_at(certificate: dict | None) -> int:
    """Unix seconds, of what `getpeercert()` returned; 0: there is none."""
    return ssl.cert_time_to_seconds(certificate["notBefore"]) + CLOCK_SKEW if certificate else 0


def load_certificate(context: ssl.SSLContext, identity: Identity) -> None:
    """Presents what now lies in the files to whoever comes next. Raises CertificateError."""
    try:
        context.load_cert_chain(identity.certificate, identity.key)
    except OSError as error:  # ssl.SSLError is one
        raise CertificateError(f"{identity.certificate}, {identity.key}: {error}") from error


def _load_into(context: ssl.SSLContext, identity: Identity) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(identity.authority)
    except OSError as error:
        raise CertificateError(f"{identity.authority}: {error}") from error
    load_certificate(context, identity)
    return context
