"""Client assertions made by hand: each algorithm with each thumbprint, and each way of being wrong (facts 1.3)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.key_pairs import KeyPair, assertion, key_pair
from support.lab import RunningLab

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return key_pair()


@pytest.fixture(scope="module")
def other() -> KeyPair:
    return key_pair()


class Asking:
    """Asks the token endpoint with assertions."""

    def __init__(self, lab: RunningLab, http: httpx2.Client) -> None:
        self.lab = lab
        self.client_id = lab.application["client_id"]
        self.endpoint = f"{lab.cloud['authority']}/{lab.tenant_id}/oauth2/v2.0/token"
        self._http = http

    def ask(self, client_assertion: str) -> httpx2.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "scope": "https://outlook.office365.com/.default",
            "client_assertion_type": TYPE,
            "client_assertion": client_assertion,
        }
        return self._http.post(self.endpoint, data=form)

    def refused(self, client_assertion: str) -> tuple[int, int, str]:
        """HTTP status, AADSTS number and text of the refusal."""
        answer = self.ask(client_assertion)
        body: dict[str, Any] = answer.json()
        assert body["error"] == "invalid_client"
        return answer.status_code, body["error_codes"][0], body["error_description"]

    def made(self, pair: KeyPair, **changes: Any) -> str:
        return assertion(pair, self.client_id, self.endpoint, **changes)


@pytest.fixture
def asking(lab: RunningLab, pair: KeyPair) -> Iterator[Asking]:
    lab.control("POST", f"/applications/{lab.application['client_id']}/certificates", {"certificate": pair.certificate})
    with httpx2.Client(verify=lab.ssl_context(), trust_env=False) as http:
        yield Asking(lab, http)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("header", ["x5t", "x5t#S256"])
@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_each_algorithm_with_each_thumbprint(
    asking: Asking, pair: KeyPair, algorithm: str, header: str, padded: bool
) -> None:
    answer = asking.ask(asking.made(pair, algorithm=algorithm, header=header, padded=padded))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")


def test_issuer_address_is_an_audience_too(asking: Asking, pair: KeyPair) -> None:
    audience = f"{asking.lab.cloud['authority']}/{asking.lab.tenant_id}/v2.0"
    assert asking.ask(assertion(pair, asking.client_id, audience)).status_code == 200


def test_unregistered_certificate(asking: Asking, other: KeyPair) -> None:
    status, code, text = asking.refused(asking.made(other))
    assert (status, code) == (401, 700027)
    assert "is not registered on application" in text
    assert "The key was not found." in text


def test_key_of_another_under_a_registered_thumbprint(asking: Asking, pair: KeyPair, other: KeyPair) -> None:
    stolen = KeyPair(other.key, pair.certificate)
    assert asking.refused(asking.made(stolen))[:2] == (401, 50012)


def test_ended_certificate(asking: Asking) -> None:
    ended = key_pair(days=-1)
    path = f"/applications/{asking.client_id}/certificates"
    asking.lab.control("POST", path, {"certificate": ended.certificate})
    _, code, text = asking.refused(asking.made(ended))
    assert (code, "The key used is expired." in text) == (700027, True)


def test_no_thumbprint(asking: Asking, pair: KeyPair) -> None:
    _, code, text = asking.refused(asking.made(pair, header=""))
    assert (code, "No certificate thumbprint specified in token header" in text) == (50027, True)


def test_not_a_token(asking: Asking) -> None:
    assert asking.refused("garbage")[1] == 50027
    assert asking.refused("a.b.c")[1] == 50027


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://login.example.org/x/oauth2/v2.0/token"}, 700023),
        ({"sub": "someone else"}, 50048),
        ({"iss": "someone else"}, 700021),
        ({"exp": int(time.time()) - 3600, "nbf": int(time.time()) - 7200}, 700024),
        ({"nbf": int(time.time()) + 3600, "exp": int(time.time()) + 7200}, 700024),
        ({"exp": None}, 50027),
    ],
)
def test_wrong_claims(asking: Asking, pair: KeyPair, changes: dict[str, Any], code: int) -> None:
    assert asking.refused(asking.made(pair, **changes))[1] == code


def test_the_labs_clock_decides(asking: Asking, pair: KeyPair) -> None:
    asking.lab.control("PUT", "/clock", {"skew": 86_400})
    assert asking.refused(asking.made(pair))[1] == 700024


def test_federated_assertion_must_match_in_issuer_subject_and_audience(asking: Asking) -> None:
    lab = asking.lab
    subject = "repo:contoso/mail:ref:refs/heads/main"
    minted = lab.control("POST", "/federated-token", {"subject": subject})
    assert asking.refused(minted["token"])[1] == 70025
    where = f"/applications/{asking.client_id}/federated"
    lab.control("POST", where, {"issuer": "https://elsewhere.example", "subject": subject})
    assert asking.refused(minted["token"])[1] == 700211
    lab.control("POST", where, {"issuer": minted["issuer"], "subject": "another"})
    assert asking.refused(minted["token"])[1] == 700213
    lab.control("POST", where, {"issuer": minted["issuer"], "subject": subject, "audiences": ["api://other"]})
    assert asking.refused(minted["token"])[1] == 700212
    lab.control("POST", where, {"issuer": minted["issuer"], "subject": subject})
    assert asking.ask(minted["token"]).status_code == 200
    expired = lab.control("POST", "/federated-token", {"subject": subject, "lifetime": -3600})
    assert asking.refused(expired["token"])[1] == 700024


def test_federated_assertion_of_an_identity_provider_with_its_own_keys(asking: Asking, other: KeyPair) -> None:
    import jwt as pyjwt
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    public = load_pem_private_key(other.key.encode(), None).public_key()
    jwk = pyjwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True) | {"kid": "one"}  # type: ignore[arg-type]
    issuer = "https://token.example"
    claims = {"iss": issuer, "sub": "job", "aud": "api://AzureADTokenExchange", "exp": int(time.time()) + 60}
    token = pyjwt.encode(claims, other.key, algorithm="RS256", headers={"kid": "one"})
    where = f"/applications/{asking.client_id}/federated"
    asking.lab.control("POST", where, {"issuer": issuer, "subject": "job"})
    assert asking.refused(token)[1] == 50012, "nobody told the lab this provider's keys"
    asking.lab.control("PUT", "/issuers", {"issuer": issuer, "jwks": {"keys": [jwk]}})
    assert asking.ask(token).status_code == 200
