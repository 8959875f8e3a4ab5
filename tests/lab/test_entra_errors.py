"""Entra's refusals, one by one: status, OAuth error, number, and the words of facts section 5."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.lab import RunningLab

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
NOBODY = "11111111-2222-3333-4444-555555555555"


class Asking:
    def __init__(self, lab: RunningLab, http: httpx2.Client) -> None:
        self.lab, self.http = lab, http

    def token(self, tenant: str = "", headers: dict[str, str] | None = None, **changes: str | None) -> httpx2.Response:
        """A right request with `changes`; None leaves a field out."""
        form: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_id": self.lab.application["client_id"],
            "client_secret": self.lab.application["client_secret"],
            "scope": "https://outlook.office365.com/.default",
        }
        sent = {name: value for name, value in (form | changes).items() if value is not None}
        address = f"{self.lab.cloud['authority']}/{tenant or self.lab.tenant_id}/oauth2/v2.0/token"
        return self.http.post(address, data=sent, headers=headers or {})


@pytest.fixture
def asking(lab: RunningLab) -> Iterator[Asking]:
    with httpx2.Client(verify=lab.ssl_context(), trust_env=False) as http:
        yield Asking(lab, http)


REFUSALS: list[tuple[dict[str, str | None], int, str, int, str]] = [
    ({"client_secret": "wrong"}, 401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret"),
    ({"client_id": NOBODY}, 400, "unauthorized_client", 700016, f"Application with identifier '{NOBODY}' was not"),
    ({"tenant": NOBODY}, 400, "invalid_request", 90002, f"Tenant '{NOBODY}' not found. This may happen if"),
    ({"tenant": "common"}, 400, "invalid_request", 9001023, "The grant type is not supported over the /common"),
    ({"client_secret": None}, 401, "invalid_client", 7000218, "The request body must contain the following"),
    ({"grant_type": None}, 400, "invalid_request", 900144, "must contain the following parameter: 'grant_type'"),
    ({"client_id": None}, 400, "invalid_request", 900144, "must contain the following parameter: 'client_id'"),
    ({"scope": None}, 400, "invalid_request", 900144, "must contain the following parameter: 'scope'"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003, "unsupported grant type 'password'"),
    (
        {"scope": "https://outlook.office365.com/SMTP.SendAsApp"},
        400,
        "invalid_scope",
        1002012,
        "Client credential flows must have a scope value with /.default suffixed to the resource identifier",
    ),
    ({"scope": "/.default"}, 400, "invalid_scope", 70011, "The scope /.default is not valid."),
    (
        {"scope": "https://graph.microsoft.com/.default https://outlook.office365.com/.default"},
        400,
        "invalid_scope",
        700022,
        "more than one resource",
    ),
    (
        {"scope": "https://nowhere.example/.default"},
        400,
        "invalid_resource",
        500011,
        "The resource principal named https://nowhere.example was not found in the tenant named Contoso.",
    ),
    ({"grant_type": "refresh_token", "refresh_token": "x"}, 401, "invalid_client", 7000218, "client_assertion"),
    ({"grant_type": DEVICE, "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "device_code": "x"}, 400,
     "bad_verification_code", 70018, "Invalid verification code"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "status", "error", "code", "text"), REFUSALS)
def test_refusal(asking: Asking, changes: dict[str, Any], status: int, error: str, code: int, text: str) -> None:
    answer = asking.token(**changes)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert text in body["error_description"]


def test_shape_of_an_error(asking: Asking) -> None:
    correlation = str(uuid.uuid4())
    body = asking.token(client_secret="wrong", headers={"client-request-id": correlation}).json()
    assert set(body) == {
        "error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri",
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", body["timestamp"])
    assert body["correlation_id"] == correlation
    assert body["error_uri"] == "https://login.microsoftonline.com/error?code=7000215"
    assert body["error_description"].endswith(
        f"\r\nTrace ID: {body['trace_id']}\r\nCorrelation ID: {correlation}\r\nTimestamp: {body['timestamp']}"
    )


def test_basic_authentication_takes_form_encoded_credentials(asking: Asking) -> None:
    application = asking.lab.application
    pair = f"{application['client_id']}:{application['client_secret'].replace('~', '%7E')}"
    header = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    answer = asking.token(client_id=None, client_secret=None, headers=header)
    assert answer.status_code == 200
    assert set(answer.json()) == {"token_type", "expires_in", "ext_expires_in", "access_token"}


def test_secret_that_has_ended(asking: Asking) -> None:
    application = asking.lab.application
    path = f"/applications/{application['object_id']}/secrets/{application['secret_id']}/expire"
    asking.lab.control("POST", path)
    answer = asking.token()
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000222])
    assert "https://aka.ms/NewClientSecret" in answer.json()["error_description"]


def test_a_second_secret_works_beside_the_first(asking: Asking) -> None:
    application = asking.lab.application
    added = asking.lab.control("POST", f"/applications/{application['object_id']}/secrets", {"name": "next"})
    assert asking.token(client_secret=added["client_secret"]).status_code == 200
    assert asking.token().status_code == 200
    asking.lab.control("DELETE", f"/applications/{application['object_id']}/secrets/{application['secret_id']}")
    assert asking.token().json()["error_codes"] == [7000215]


def test_disabled_principal(asking: Asking) -> None:
    asking.lab.control("PATCH", f"/applications/{asking.lab.application['client_id']}/principal", {"enabled": False})
    assert asking.token().json()["error_codes"] == [7000112]


def test_token_without_roles_when_nothing_was_granted(asking: Asking) -> None:
    import jwt

    made = asking.lab.control("POST", "/applications", {"name": "Bare"})
    answer = asking.token(client_id=made["app_id"], client_secret=made["secrets"][0]["value"])
    assert "roles" not in jwt.decode(answer.json()["access_token"], options={"verify_signature": False})


FAULTS: list[tuple[str, dict[str, Any], int, str, int]] = [
    ("token-down", {}, 503, "temporarily_unavailable", 90033),
    ("token-down", {"status": 500}, 500, "temporarily_unavailable", 90033),
    ("token-throttled", {"retry_after": 7}, 429, "temporarily_unavailable", 90055),
    ("secret-expired", {}, 401, "invalid_client", 7000222),
    ("conditional-access", {}, 400, "invalid_grant", 53003),
    ("entra-error", {"code": 50196}, 400, "invalid_grant", 50196),
    ("entra-error", {"code": 700030}, 401, "invalid_client", 700030),
    ("entra-error", {"code": 1, "status": 418, "error": "odd", "text": "Odd."}, 418, "odd", 1),
]


@pytest.mark.parametrize(("name", "values", "status", "error", "code"), FAULTS)
def test_fault_strikes_once_and_is_over(
    asking: Asking, name: str, values: dict[str, Any], status: int, error: str, code: int
) -> None:
    asking.lab.control("PUT", f"/faults/{name}", {"times": 1, "values": values})
    answer = asking.token()
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (status, error, [code])
    if "retry_after" in values:
        assert answer.headers["Retry-After"] == "7"
    assert asking.token().status_code == 200


def test_short_tokens(asking: Asking) -> None:
    asking.lab.control("PUT", "/faults/token-short", {"values": {"seconds": 30}})
    assert asking.token().json()["expires_in"] == 30


def test_device_code_waits_slows_down_and_ends(asking: Asking) -> None:
    lab = asking.lab
    client = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
    base = f"{lab.cloud['authority']}/{lab.tenant_id}/oauth2/v2.0"

    def started() -> dict[str, Any]:
        form = {"client_id": client, "scope": "https://graph.microsoft.com/.default offline_access"}
        code: dict[str, Any] = asking.http.post(f"{base}/devicecode", data=form).json()
        return code

    def polled(code: dict[str, Any]) -> dict[str, Any]:
        form = {"grant_type": DEVICE, "client_id": client, "device_code": code["device_code"]}
        answer: dict[str, Any] = asking.http.post(f"{base}/token", data=form).json()
        return answer

    code = started()
    assert (code["interval"], code["expires_in"]) == (5, 900)
    assert code["user_code"] in code["message"]
    assert polled(code)["error"] == "authorization_pending"
    assert polled(code)["error"] == "slow_down"
    lab.control("POST", f"/device-codes/{code['user_code']}", {"user": "adele@contoso.example"})
    answer = polled(code)
    assert answer["refresh_token"]
    assert polled(code)["error"] == "bad_verification_code", "a code is redeemed once"

    declined = started()
    lab.control("POST", f"/device-codes/{declined['user_code']}", {"user": "adele@contoso.example", "decline": True})
    assert polled(declined)["error"] == "authorization_declined"

    late = started()
    lab.control("PUT", "/clock", {"skew": 901})
    assert polled(late)["error"] == "expired_token"


def test_discovery_leads_from_the_authority_to_the_keys(asking: Asking) -> None:
    import jwt

    lab = asking.lab
    base = f"{lab.cloud['authority']}/{lab.domain}"
    found = asking.http.get(f"{base}/v2.0/.well-known/openid-configuration").json()
    assert found["issuer"] == f"{lab.cloud['authority']}/{lab.tenant_id}/v2.0"
    assert found["token_endpoint"] == f"{base}/oauth2/v2.0/token"
    older = asking.http.get(f"{base}/.well-known/openid-configuration").json()
    assert older["issuer"] == f"https://sts.windows.net/{lab.tenant_id}/"
    token = lab.token()
    keys = jwt.PyJWKSet.from_dict(asking.http.get(found["jwks_uri"]).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    jwt.decode(token, key, algorithms=["RS256"], audience="https://outlook.office365.com", issuer=older["issuer"])
    unknown = asking.http.get(f"{lab.cloud['authority']}/{NOBODY}/v2.0/.well-known/openid-configuration")
    assert unknown.json()["error_codes"] == [90002]
    instance = asking.http.get(
        f"{lab.cloud['authority']}/common/discovery/instance",
        params={"api-version": "1.1", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize"},
    ).json()
    assert instance["tenant_discovery_endpoint"] == f"{base}/v2.0/.well-known/openid-configuration"
