"""SSH keys: made, read, and fingerprinted as AWS does.

Making one is the only thing here that is not a function of its arguments: a key that could be computed from the request would
be no secret. RSA's primes take 10 to 500 ms to find, 80 as a rule: keys are drawn outside of the event loop (operation.draws).

Fingerprints (EC2 user guide, "Verify the fingerprint of your key pair"): RSA made by EC2, SHA-1 of the private key as PKCS #8
DER; RSA imported, MD5 of the public key as DER; Ed25519 either way, SHA-256 of the SSH public key, in padded base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key

from rookery.api.operation import ApiError

RSA_BITS = 2048
RSA_SIZES = (1024, 2048, 4096)  # that EC2 imports
_SSH2_BEGIN = "---- BEGIN SSH2 PUBLIC KEY ----"  # RFC 4716
_SSH2_END = "---- END SSH2 PUBLIC KEY ----"

PublicKey = RSAPublicKey | Ed25519PublicKey


class PublicHalf(NamedTuple):
    """What may be kept of a key."""

    type: str  # rsa, ed25519
    openssh: str
    fingerprint: str


class NewKey(NamedTuple):
    private: str  # PEM, for the client's eyes only
    public: PublicHalf


def new_key(key_type: str) -> NewKey:
    if key_type == "ed25519":
        return new_ed25519(Ed25519PrivateKey.generate())
    return new_rsa(generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def new_rsa(key: RSAPrivateKey) -> NewKey:
    der = key.private_bytes(forms.Encoding.DER, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, forms.NoEncryption())
    fingerprint = hashlib.sha1(der).digest().hex(":")
    return NewKey(pem.decode().rstrip("\n"), PublicHalf("rsa", openssh(key.public_key()), fingerprint))


def new_ed25519(key: Ed25519PrivateKey) -> NewKey:
    pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.OpenSSH, forms.NoEncryption())
    return NewKey(pem.decode(), ed25519_half(key.public_key()))


def imported_key(material: bytes) -> PublicHalf:
    """From an OpenSSH line, an SSH2 file (RFC 4716), or DER in base64. Raises InvalidKey.Format."""
    key = read_public_key(material)
    if isinstance(key, Ed25519PublicKey):
        return ed25519_half(key)
    if not isinstance(key, RSAPublicKey):
        raise bad_format("Only RSA and ED25519 keys are supported")
    if key.key_size not in RSA_SIZES:
        raise bad_format(f"An RSA key must have {', '.join(map(str, RSA_SIZES))} bits")
    der = key.public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)
    return PublicHalf("rsa", openssh(key), hashlib.md5(der).digest().hex(":"))


def read_public_key(material: bytes) -> object:
    try:
        text = material.decode("ascii").strip()
        if text.startswith("ssh-"):
            return forms.load_ssh_public_key(text.encode())
        if text.startswith(_SSH2_BEGIN):
            return read_blob(base64.b64decode(ssh2_body(text), validate=True))
        return forms.load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise bad_format("Key is not in valid OpenSSH public key format") from None


def read_blob(blob: bytes) -> object:
    """A public key as SSH sends it; its first field, with its length in front, names the kind."""
    length = int.from_bytes(blob[:4])
    kind = blob[4 : 4 + length]
    return forms.load_ssh_public_key(kind + b" " + base64.b64encode(blob))


def ssh2_body(text: str) -> str:
    """The base64 between the markers, without headers: lines with a colon, each going on after a backslash."""
    begin, *lines = text.replace("\\\r\n", "").replace("\\\n", "").splitlines()
    if _SSH2_END not in lines:
        raise ValueError(f"{begin} without its end")
    inside = lines[: lines.index(_SSH2_END)]
    return "".join(line.strip() for line in inside if ":" not in line)


def openssh(key: PublicKey) -> str:
    return key.public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH).decode()


def ed25519_half(key: Ed25519PublicKey) -> PublicHalf:
    line = openssh(key)
    blob = base64.b64decode(line.split()[1])
    return PublicHalf("ed25519", line, base64.b64encode(hashlib.sha256(blob).digest()).decode())


def bad_format(message: str) -> ApiError:
    return ApiError("InvalidKey.Format", message)
