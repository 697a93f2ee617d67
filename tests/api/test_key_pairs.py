"""Key pairs, pure; fingerprints checked by OpenSSL and OpenSSH where they are installed with the machine."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from rookery.api.quotas import Quotas
from rookery.model.codec import encode
from rookery.model.objects import KeyPair
from rookery.testing.small_view import SmallView


@pytest.fixture
def view():
    return SmallView()


@pytest.fixture(scope="module")
def rsa():
    return generate_private_key(public_exponent=65537, key_size=2048)


def openssh(key):
    return key.public_key().public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH)


def der(key):
    return key.public_key().public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)


def ssh2(key):
    """RFC 4716: lines of at most 72 characters, a header that goes on in the next line."""
    body = openssh(key).split()[1].decode()
    lines = [body[at : at + 70] for at in range(0, len(body), 70)]
    head = ["---- BEGIN SSH2 PUBLIC KEY ----", "Subject: me", 'Comment: "a long \\', 'comment"']
    return "\n".join([*head, *lines, "---- END SSH2 PUBLIC KEY ----", ""]).encode()


def through(command, data):
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is the second opinion here")
def test_the_fingerprint_of_a_made_rsa_key_is_what_openssl_computes(view):
    made = view.call("CreateKeyPair", KeyName="k")
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    pkcs8 = through(
        ["openssl", "pkcs8", "-inform", "PEM", "-outform", "DER", "-topk8", "-nocrypt"],
        made["KeyMaterial"].encode(),
    )
    assert made["KeyFingerprint"] == hashlib.sha1(pkcs8).digest().hex(":")


def test_a_made_ed25519_key_is_of_openssh_form_and_fingerprint(view):
    made = view.call("CreateKeyPair", KeyName="k", KeyType="ed25519")
    key = forms.load_ssh_private_key(made["KeyMaterial"].encode(), None)
    blob = base64.b64decode(openssh(key).split()[1])
    assert made["KeyFingerprint"] == base64.b64encode(hashlib.sha256(blob).digest()).decode()
    assert made["KeyFingerprint"].endswith("=")


def test_no_private_key_is_stored(view):
    for key_type in ("rsa", "ed25519"):
        made = view.call("CreateKeyPair", KeyName=key_type, KeyType=key_type)
        stored = encode(view.get(KeyPair, made["KeyPairId"])).decode()
        inside = made["KeyMaterial"].splitlines()[2]
        assert inside not in stored and "PRIVATE" not in stored
    assert "KeyMaterial" not in str(view.call("DescribeKeyPairs", IncludePublicKey=True))


def test_every_form_of_an_rsa_public_key_is_imported_with_the_same_fingerprint(view, rsa):
    expected = hashlib.md5(der(rsa)).digest().hex(":")
    materials = [openssh(rsa), openssh(rsa) + b" me@here\n", base64.encodebytes(der(rsa)), ssh2(rsa)]
    for number, material in enumerate(materials):
        answer = view.call("ImportKeyPair", KeyName=f"k{number}", PublicKeyMaterial=material)
        assert answer["KeyFingerprint"] == expected
    described = view.call("DescribeKeyPairs", KeyNames=["k3"], IncludePublicKey=True)["KeyPairs"][0]
    assert described["PublicKey"] == f"{openssh(rsa).decode()} k3"
    assert described["KeyType"] == "rsa"


def test_an_ed25519_public_key_is_imported(view):
    key = Ed25519PrivateKey.generate()
    blob = base64.b64decode(openssh(key).split()[1])
    answer = view.call("ImportKeyPair", KeyName="k", PublicKeyMaterial=openssh(key))
    assert answer["KeyFingerprint"] == base64.b64encode(hashlib.sha256(blob).digest()).decode()


def odd_size():
    return openssh(generate_private_key(public_exponent=65537, key_size=1536))


@pytest.mark.parametrize(
    "material",
    [
        b"",
        b"\xff\xfe",
        b"ssh-rsa",
        b"ssh-rsa AAAA",
        b"ssh-rsa not-base64!",
        b"AAAA",
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA",
        b"---- BEGIN SSH2 PUBLIC KEY ----\n---- END SSH2 PUBLIC KEY ----",
        b"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=",
        odd_size(),
    ],
)
def test_what_is_no_usable_public_key_is_refused(view, material):
    assert view.refusal("ImportKeyPair", KeyName="k", PublicKeyMaterial=material) == "InvalidKey.Format"


def test_a_name_belongs_to_one_key_pair(view, rsa):
    view.call("ImportKeyPair", KeyName="k", PublicKeyMaterial=openssh(rsa))
    again = {"KeyName": "k", "PublicKeyMaterial": openssh(rsa)}
    assert view.refusal("ImportKeyPair", **again) == "InvalidKeyPair.Duplicate"
    assert view.refusal("CreateKeyPair", KeyName="k") == "InvalidKeyPair.Duplicate"


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "schlüssel"])
def test_a_name_that_cannot_be_is_refused(view, name):
    assert view.refusal("CreateKeyPair", KeyName=name) == "InvalidParameterValue"


def test_more_key_pairs_than_the_quota_and_other_formats_are_refused(view):
    assert view.refusal("CreateKeyPair", KeyName="k", KeyFormat="ppk") == "UnsupportedOperation"
    view.quotas = Quotas(key_pairs=0)
    assert view.refusal("CreateKeyPair", KeyName="k") == "KeyPairLimitExceeded"


def test_key_pairs_are_described_by_name_id_and_filter(view, rsa):
    first, second = (
        view.call("ImportKeyPair", KeyName=name, PublicKeyMaterial=openssh(rsa)) for name in ("one", "two")
    )

    def names(**parameters):
        return [each["KeyName"] for each in view.call("DescribeKeyPairs", **parameters)["KeyPairs"]]

    assert names() == ["one", "two"]
    assert names(KeyNames=["two"]) == ["two"]
    assert names(KeyPairIds=[first["KeyPairId"]]) == ["one"]
    assert names(Filters=[{"Name": "key-name", "Values": ["t*"]}]) == ["two"]
    assert names(Filters=[{"Name": "fingerprint", "Values": [second["KeyFingerprint"]]}]) == ["one", "two"]
    assert view.refusal("DescribeKeyPairs", KeyNames=["three"]) == "InvalidKeyPair.NotFound"
    unknown = "key-0123456789abcdef0"
    assert view.refusal("DescribeKeyPairs", KeyPairIds=[unknown]) == "InvalidKeyPair.NotFound"


def test_deleting_by_name_or_id_succeeds_also_when_nothing_is_there(view):
    for member, attribute in (("KeyName", "KeyName"), ("KeyPairId", "KeyPairId")):
        made = view.call("CreateKeyPair", KeyName="k", KeyType="ed25519")
        answer = view.call("DeleteKeyPair", **{member: made[attribute]})
        assert answer == {"Return": True, "KeyPairId": made["KeyPairId"]}
        assert view.call("DeleteKeyPair", **{member: made[attribute]}) == {"Return": True}
    assert view.refusal("DeleteKeyPair") == "MissingParameter"
