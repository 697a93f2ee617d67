"""The region's own certificate authority: it makes itself, and signs for the region's parts. Its key signs for one region only; its
certificate says which."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rookery.files import write_whole
from rookery.mapping.certificates import (
    CLOCK_SKEW,
    HOST,
    MAPPING,
    CertificateError,
    Identity,
    identity_of,
    uri_of,
)

AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
LIFETIME = datetime.timedelta(days=30)
RENEW_BEFORE = datetime.timedelta(days=10)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def make_authority(directory: Path, region_name: str) -> None:
    """Makes authority.pem and authority.key; keeps those that are there."""
    _check_name(region_name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (directory / "authority.pem").exists() and (directory / "authority.key").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"rookery {region_name} authority")
    certificate = (
        _builder(subject, subject, key.public_key(), AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_alternative(f"spiffe://rookery/{region_name}"), critical=False)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_whole(directory / "authority.key", _key_bytes(key))
    write_whole(directory / "authority.pem", certificate.public_bytes(serialization.Encoding.PEM))


def issue(directory: Path, role: str, name: str = "") -> Identity:
    """A new key and certificate for `role` (HOST with a name, or MAPPING), signed by the directory's authority."""
    if role not in (HOST, MAPPING) or bool(name) != (role == HOST):
        raise CertificateError(f"no part is called {role!r} {name!r}")
    if name:
        _check_name(name)
    authority, authority_key = _load_authority(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    uri = uri_of(_region_of(authority), role, name)
    certificate = _leaf(authority, key.public_key(), uri).sign(authority_key, hashes.SHA256())
    identity = identity_of(directory, role, name)
    write_whole(identity.key, _key_bytes(key))
    write_whole(identity.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return identity


def renew(directory: Path, role: str, name: str = "") -> bool:
    """Issues anew when the certificate is missing or has less than RENEW_BEFORE to live; whether it did."""
    identity = identity_of(directory, role, name)
    if identity.certificate.exists() and identity.key.exists():
        left = _load_certificate(identity.certificate).not_valid_after_utc - _now()
        if left > RENEW_BEFORE:
            return False
    issue(directory, role, name)
    return True


def withdraw(directory: Path, name: str) -> None:
    """Its key and certificate are no more. Who may have a copy is the mapping service's to refuse (rookery.model.objects.Revocation)."""
    identity = identity_of(directory, HOST, name)
    identity.key.unlink(missing_ok=True)
    identity.certificate.unlink(missing_ok=True)


def names_with_keys(directory: Path) -> set[str]:
    """Of hosts, edges and nodes."""
    found = (path.stem.partition("-") for path in directory.iterdir() if path.suffix in (".key", ".pem"))
    return {name for role, _, name in found if role == HOST and name}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CertificateError(f"{name!r} is no name: letters, digits and hyphens, at most 63")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _alternative(uri: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(seconds=CLOCK_SKEW))
        .not_valid_after(_now() + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _leaf(authority: x509.Certificate, key: ec.EllipticCurvePublicKey, uri: str) -> x509.CertificateBuilder:
    signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        _builder(_subject(uri.rsplit("/", 1)[-1]), authority.subject, key, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_alternative(uri), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both, critical=False)
        .add_extension(signer, critical=False)
    )


def _load_authority(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = _load_certificate(directory / "authority.pem")
    path = directory / "authority.key"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError(f"{path} is not the key of authority.pem")
    return certificate, key


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path}: {error}") from error


def _region_of(authority: x509.Certificate) -> str:
    names = authority.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)[0].rsplit("/", 1)[-1]


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
