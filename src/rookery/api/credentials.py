"""Access keys: their secrets lie in the store sealed with AES-GCM, under a key that only this machine's root can read.

CredentialError
 +- SealingKeyError   the key file is missing, too open or of the wrong size: the caller stops with the sentence
 +- UnsealError       a secret was not sealed with this key: the API answers as for an unknown key, and logs it
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rookery.model.codec import encode
from rookery.model.keys import credential_key
from rookery.model.objects import AccessKey
from rookery.store.interface import Store

KEY_BYTES = 32
_NONCE_BYTES = 12
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_ACCOUNT = re.compile(r"[0-9]{12}\Z")


class CredentialError(Exception):
    """Root of what this module raises."""


class SealingKeyError(CredentialError):
    """The sealing key's file cannot be used."""


class UnsealError(CredentialError):
    """A secret that this key does not open."""


def create_sealing_key(path: Path) -> bytes:
    """Makes the file (0600) where it is missing; else reads it. Raises SealingKeyError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_sealing_key(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return read_sealing_key(path)


def read_sealing_key(path: Path) -> bytes:
    """Raises SealingKeyError."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        key = path.read_bytes()
    except OSError as error:
        raise SealingKeyError(f"the sealing key {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise SealingKeyError(f"the sealing key {path} has mode {mode:04o}: others can read it; chmod 600 it")
    if len(key) != KEY_BYTES:
        raise SealingKeyError(f"the sealing key {path} has {len(key)} bytes, not {KEY_BYTES}")
    return key


def seal(sealing_key: bytes, access_key: str, secret: str) -> bytes:
    """Nonce and ciphertext. The access key is authenticated with it: sealed secrets cannot be swapped."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(sealing_key).encrypt(nonce, secret.encode(), access_key.encode())


def unseal(sealing_key: bytes, key: AccessKey) -> str:
    """Raises UnsealError."""
    nonce, text = key.sealed_secret[:_NONCE_BYTES], key.sealed_secret[_NONCE_BYTES:]
    try:
        return AESGCM(sealing_key).decrypt(nonce, text, key.access_key.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise UnsealError(f"the secret of {key.access_key} was sealed with another key") from error


async def add_key(store: Store, sealing_key: bytes, access_key: str, secret: str, account: str) -> None:
    """Adds or replaces. Raises ValueError for a pair or account that no client could use, StoreError."""
    if not _ACCESS_KEY.match(access_key):
        raise ValueError("an access key has 1 to 128 letters, digits, '-' or '_'")
    if not secret or len(secret) > 256:
        raise ValueError("a secret has 1 to 256 characters")
    if not _ACCOUNT.match(account):
        raise ValueError("an account has 12 digits")
    key = AccessKey(
        access_key=access_key, account=account, sealed_secret=seal(sealing_key, access_key, secret)
    )
    await store.txn([], {credential_key(access_key): encode(key)})
