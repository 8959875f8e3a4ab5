"""Certificates made here, and those that people upload: PEM and PFX, with and without password, whole and broken."""

from __future__ import annotations

import datetime
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.microsoft.certificates import make_certificate, read_certificate

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def made():
    return make_certificate("postroom-contoso", days=90, now=NOW)


@pytest.fixture(scope="module")
def parts(made):
    key = load_pem_private_key(made.pem_with_key.encode(), None)
    return key, x509.load_pem_x509_certificate(made.public_pem.encode())


def test_what_is_made(made, parts):
    key, certificate = parts
    assert key.key_size == 2048
    assert made.subject == "CN=postroom-contoso"
    assert made.not_after == NOW + datetime.timedelta(days=90)
    assert made.not_before < NOW
    assert certificate.public_key().public_numbers() == key.public_key().public_numbers()
    assert "PRIVATE" not in made.public_pem
    assert made.pem_with_key not in repr(made)
    assert "PRIVATE" not in repr(made)


def test_thumbprints_are_openssls(made, tmp_path):
    file = tmp_path / "public.pem"
    file.write_text(made.public_pem)
    for algorithm, ours in (("sha1", made.sha1), ("sha256", made.sha256)):
        command = [shutil.which("openssl"), "x509", "-in", file, "-noout", "-fingerprint", f"-{algorithm}"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said.split("=")[1].strip().replace(":", "") == ours


def test_read_back(made):
    assert read_certificate(made.pem_with_key.encode()) == made


def test_certificate_before_key_and_text_around(made):
    key, certificate = made.pem_with_key.split("-----BEGIN CERTIFICATE", 1)
    turned = f"Bag Attributes\n  friendlyName: x\n-----BEGIN CERTIFICATE{certificate}Key Attributes\n{key}"
    assert read_certificate(turned.encode()) == made


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_encrypted_pem(made, parts, form):
    key, _ = parts
    data = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"p4ss")) + made.public_pem.encode()
    assert read_certificate(data, "p4ss") == made
    with pytest.raises(ValueError, match="give its password"):
        read_certificate(data)
    with pytest.raises(ValueError, match="password is wrong"):
        read_certificate(data, "other")


@pytest.mark.parametrize("password", ["", "p4ss"])
def test_pfx(made, parts, password):
    key, certificate = parts
    protection = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    data = pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, protection)
    assert read_certificate(data, password) == made


def test_pfx_with_a_wrong_password(parts):
    data = pkcs12.serialize_key_and_certificates(b"x", *parts, None, BestAvailableEncryption(b"p4ss"))
    with pytest.raises(ValueError, match="opens with this password"):
        read_certificate(data, "other")


def test_pfx_without_key(parts):
    data = pkcs12.serialize_key_and_certificates(None, None, parts[1], None, NoEncryption())
    with pytest.raises(ValueError, match="no private key"):
        read_certificate(data)


def test_certificate_of_the_key_is_found_in_a_chain(made):
    other = make_certificate("issuer", now=NOW)
    assert read_certificate((other.public_pem + made.pem_with_key).encode()).subject == made.subject


def test_key_of_another_certificate(made):
    other = make_certificate("other", now=NOW)
    mixed = made.pem_with_key.replace(made.public_pem, other.public_pem)
    with pytest.raises(ValueError, match="does not belong"):
        read_certificate(mixed.encode())


def test_key_alone_and_certificate_alone(made):
    with pytest.raises(ValueError, match="no private key"):
        read_certificate(made.public_pem.encode())
    with pytest.raises(ValueError, match="no certificate"):
        read_certificate(made.pem_with_key.replace(made.public_pem, "").encode())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "not RSA"),
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
    ],
    ids=["elliptic", "small"],
)
def test_keys_that_entra_does_not_take(made, key, words):
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_pem.encode()
    with pytest.raises(ValueError, match=words):
        read_certificate(data)


@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=50).map(lambda data: b"-----BEGIN PRIVATE KEY-----" + data))
)
@settings(max_examples=200)
def test_anything_else_is_a_clear_error(data):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - any of its sentences
        read_certificate(data)
    assert ";" in str(caught.value) or ":" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"subject": " "}, "subject"), ({"days": 0}, "days"), ({"days": 99999}, "days"), ({"key_size": 1024}, "bits")],
)
def test_what_cannot_be_made(options, words):
    with pytest.raises(ValueError, match=words):
        make_certificate(**{"subject": "x", **options})


def test_long_subject_is_cut():
    assert len(make_certificate("x" * 200, now=NOW).subject) == len("CN=") + 64
