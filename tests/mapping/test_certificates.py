from __future__ import annotations

import datetime
import stat

import pytest
from cryptography import x509

from rookery.mapping import authority
from rookery.mapping.authority import LIFETIME, issue, make_authority, renew
from rookery.mapping.certificates import HOST, MAPPING, CertificateError, identity_of, server_context


@pytest.fixture
def directory(tmp_path):
    make_authority(tmp_path / "certificates", "dev")
    return tmp_path / "certificates"


def loaded(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def uris(path):
    names = loaded(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def test_a_certificate_names_its_part(directory):
    assert uris(issue(directory, HOST, "host-1").certificate) == ["spiffe://rookery/dev/host/host-1"]
    assert uris(issue(directory, MAPPING).certificate) == ["spiffe://rookery/dev/mapping"]


def test_keys_are_the_owners_alone(directory):
    issue(directory, HOST, "host-1")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_an_authority_that_is_there_stays(directory):
    before = (directory / "authority.pem").read_bytes()
    make_authority(directory, "dev")
    assert (directory / "authority.pem").read_bytes() == before


@pytest.mark.parametrize(
    "role, name",
    [
        (HOST, ""),
        (MAPPING, "x"),
        ("king", "x"),
        (HOST, "a/b"),
        (HOST, "-a"),
        (HOST, "a" * 64),
        (HOST, "a\nb"),
    ],
)
def test_what_cannot_be_a_name_is_refused_and_no_file_is_made(directory, role, name):
    before = set(directory.iterdir())
    with pytest.raises(CertificateError):
        issue(directory, role, name)
    assert set(directory.iterdir()) == before


def test_a_certificate_is_renewed_when_it_is_missing_or_about_to_end(directory, monkeypatch):
    assert renew(directory, HOST, "host-1")
    identity = identity_of(directory, HOST, "host-1")
    first = loaded(identity.certificate)
    assert not renew(directory, HOST, "host-1")
    later = datetime.datetime.now(datetime.UTC) + LIFETIME - datetime.timedelta(days=9)
    monkeypatch.setattr(authority, "_now", lambda: later)
    assert renew(directory, HOST, "host-1")
    assert loaded(identity.certificate).not_valid_after_utc > first.not_valid_after_utc


def test_a_key_that_is_not_the_authoritys_signs_nothing(directory, tmp_path):
    make_authority(tmp_path / "other", "dev")
    (directory / "authority.key").write_bytes((tmp_path / "other" / "authority.key").read_bytes())
    with pytest.raises(CertificateError, match="not the key"):
        issue(directory, HOST, "host-1")


def test_a_file_that_is_missing_is_named(directory):
    with pytest.raises(CertificateError, match=r"mapping\.pem"):
        server_context(identity_of(directory, MAPPING))
