"""The control API: what a test sets is what the tenant is; what is wrong is refused with a sentence."""

from __future__ import annotations

import base64
import threading
from typing import Any

import httpx2
import jwt
import pytest

from support.lab import RunningLab

INBOX = "/mailboxes/support@contoso.example"


def refused(lab: RunningLab, method: str, path: str, body: Any = None) -> tuple[int, str]:
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        lab.control(method, path, body)
    return caught.value.response.status_code, caught.value.response.json()["error"]


def roles(token: str) -> list[str]:
    found: list[str] = jwt.decode(token, options={"verify_signature": False}).get("roles", [])
    return found


def test_key_is_asked_for(lab: RunningLab) -> None:
    with httpx2.Client(verify=lab.ssl_context(), trust_env=False) as http:
        assert http.get(f"{lab.control_url}/state").status_code == 401
        wrong = http.get(f"{lab.control_url}/state", headers={"Authorization": "Bearer no"})
        assert (wrong.status_code, "control_key" in wrong.json()["error"]) == (401, True)


def test_another_sites_page_and_another_name_are_refused(lab: RunningLab) -> None:
    key = {"Authorization": f"Bearer {lab.control_key}"}
    with httpx2.Client(verify=lab.ssl_context(), trust_env=False) as http:
        cross = http.post(f"{lab.control_url}/reset", headers=key | {"Sec-Fetch-Site": "cross-site"})
        rebound = http.get(f"{lab.control_url}/state", headers=key | {"Host": "evil.example"})
    assert (cross.status_code, rebound.status_code) == (403, 403)


def test_open_control_asks_for_no_key() -> None:
    with RunningLab("--open-control") as lab, httpx2.Client(verify=lab.ssl_context(), trust_env=False) as http:
        assert lab.control_key == ""
        assert http.get(f"{lab.control_url}/faults").status_code == 200
        assert http.get(lab.page).status_code == 200


def test_empty_lab_has_no_application() -> None:
    with RunningLab("--empty") as lab:
        assert lab.application is None
        assert lab.control("GET", "/applications") == []


def test_state_tells_of_everything(lab: RunningLab) -> None:
    state = lab.control("GET", "/state")
    assert state["lab"] == lab.described
    assert [box["address"] for box in state["mailboxes"]] == lab.mailboxes
    assert state["applications"][0]["roles"]["exchange"] == ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]


def test_role_granted_and_revoked_shows_in_the_next_token(lab: RunningLab) -> None:
    path = f"/applications/{lab.application['client_id']}"
    after = lab.control("DELETE", f"{path}/roles/exchange/SMTP.SendAsApp")
    assert after["roles"]["exchange"] == ["IMAP.AccessAsApp", "POP.AccessAsApp"]
    assert roles(lab.token()) == ["IMAP.AccessAsApp", "POP.AccessAsApp"]
    assert len(after["permissions"]) == 5, "the registration still asks for it: consent is what is missing"
    lab.control("POST", f"{path}/roles", {"resource": "exchange", "roles": ["SMTP.SendAsApp"]})
    assert roles(lab.token()) == ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]


def test_permission_that_was_only_asked_for_is_not_in_the_token(lab: RunningLab) -> None:
    made = lab.control("POST", "/applications", {"name": "Asks"})
    path = f"/applications/{made['id']}"
    asked = lab.control("POST", f"{path}/permissions", {"resource": "exchange", "roles": ["SMTP.SendAsApp"]})
    assert (len(asked["permissions"]), asked["roles"]) == (1, {})
    token = lab.token(client_id=made["app_id"], client_secret=made["secrets"][0]["value"])
    assert roles(token) == []
    delegated = lab.control("POST", f"{path}/delegated", {"resource": "exchange", "scopes": ["SMTP.Send"]})
    assert delegated["delegated"] == {"exchange": "SMTP.Send"}
    assert lab.control("DELETE", f"{path}/delegated")["delegated"] == {}


def test_deleted_application_is_unknown(lab: RunningLab) -> None:
    made = lab.control("POST", "/applications", {"name": "Short", "roles": {"graph": ["Mail.Send"]}})
    lab.control("DELETE", f"/applications/{made['id']}")
    assert refused(lab, "GET", f"/applications/{made['id']}")[0] == 404
    with pytest.raises(httpx2.HTTPStatusError):
        lab.token(client_id=made["app_id"], client_secret=made["secrets"][0]["value"])


def test_exchange_takes_any_object_id(lab: RunningLab) -> None:
    application = lab.application
    lab.control("DELETE", f"/exchange/principals/{application['client_id']}")
    body = {"app_id": application["client_id"], "object_id": application["object_id"]}
    lab.control("POST", "/exchange/principals", body)
    known = lab.control("GET", "/exchange/principals")
    assert known == [body | {"name": ""}]


def test_mailbox_made_changed_granted_and_deleted(lab: RunningLab) -> None:
    made = lab.control("POST", "/mailboxes", {"address": "Orders@contoso.example", "name": "Orders"})
    assert (made["address"], made["shared"]) == ("orders@contoso.example", True)
    path = "/mailboxes/orders@contoso.example"
    changed = lab.control("PATCH", path, {"smtp_auth_disabled": True, "imap_enabled": False, "aliases": ["o@x"]})
    assert (changed["smtp_auth_disabled"], changed["imap_enabled"]) == (True, False)
    assert lab.control("PATCH", path, {"smtp_auth_disabled": "inherit"})["smtp_auth_disabled"] is None
    granted = lab.control("PUT", f"{path}/rights/full-access/{lab.application['client_id']}")
    assert granted["full_access"] == [lab.application["service_principal_id"]]
    assert lab.control("PUT", f"{path}/rights/send-as/support@contoso.example")["send_as"]
    gone = lab.control("DELETE", f"{path}/rights/full-access/{lab.application['client_id']}")
    assert gone["full_access"] == []
    lab.control("DELETE", path)
    assert refused(lab, "GET", path)[0] == 404
    assert lab.control("PATCH", "/exchange", {"smtp_auth_disabled": True})["smtp_auth_disabled"] is True


def test_users_and_licences(lab: RunningLab) -> None:
    lab.control("POST", "/users", {"upn": "nina@contoso.example", "name": "Nina", "licences": ["SPB"]})
    changed = lab.control("PATCH", "/users/nina@contoso.example", {"licences": [], "enabled": False})
    assert (changed["licences"], changed["enabled"]) == ([], False)


def test_scoped_role_for_an_application(lab: RunningLab) -> None:
    scope = {"name": "rbac", "app_id": lab.application["client_id"], "role": "SMTP.SendAsApp", "members": []}
    assert lab.control("POST", "/exchange/scopes", scope) == scope
    lab.control("DELETE", "/exchange/scopes/rbac")
    assert refused(lab, "DELETE", "/exchange/scopes/rbac")[0] == 404


def test_mail_from_outside_carries_the_verdicts_that_were_asked_for(lab: RunningLab) -> None:
    body = {
        "subject": "Zürich",
        "text": "Grüße",
        "authentication": {"spf": "softfail", "dkim": "fail", "dmarc": "fail"},
    }
    message = lab.control("POST", f"{INBOX}/messages", body)
    verdicts = dict(message["headers"])["Authentication-Results"]
    assert verdicts.startswith(f"{lab.cloud['authserv_id']}; spf=softfail ")
    assert " dkim=fail " in verdicts
    assert " dmarc=fail " in verdicts
    whole = lab.control("GET", f"{INBOX}/messages/{message['id']}")
    assert (whole["subject"], whole["text"].strip()) == ("Zürich", "Grüße")


def test_raw_message_keeps_its_bytes(lab: RunningLab) -> None:
    raw = b"From: a@example.org\r\nSubject: \xff odd\r\n\r\nbody with a bare \xfe byte\r\n.\r\n"
    message = lab.control("POST", f"{INBOX}/messages", {"raw": base64.b64encode(raw).decode(), "sender": ""})
    assert lab.control("GET", f"{INBOX}/messages/{message['id']}/raw").endswith(raw)
    assert lab.control("GET", f"{INBOX}/messages?folder=inbox")[0]["id"] == message["id"]
    lab.control("DELETE", f"{INBOX}/messages/{message['id']}")
    assert lab.control("GET", f"{INBOX}/messages") == []


def test_wait_ends_when_the_message_comes(lab: RunningLab) -> None:
    wanted = {"header": {"name": "Subject", "value": "the one"}, "timeout": 30}
    found: list[Any] = []
    asking = threading.Event()

    def wait() -> None:
        with httpx2.Client(verify=lab.ssl_context(), trust_env=False, timeout=60) as http:
            asking.set()
            key = {"Authorization": f"Bearer {lab.control_key}"}
            found.extend(http.post(f"{lab.control_url}{INBOX}/wait", json=wanted, headers=key).json())

    waiting = threading.Thread(target=wait)
    waiting.start()
    asking.wait()
    lab.control("POST", f"{INBOX}/messages", {"subject": "another"})
    lab.control("POST", f"{INBOX}/messages", {"subject": "this is the one"})
    waiting.join()
    assert [message["subject"] for message in found] == ["this is the one"]


def test_wait_gives_up(lab: RunningLab) -> None:
    status, text = refused(lab, "POST", f"{INBOX}/wait", {"timeout": 0.05})
    assert (status, text) == (408, "No such message within 0.05 seconds.")
    assert refused(lab, "POST", "/gone/wait", {"timeout": 0.05})[0] == 408


def test_full_mailbox_takes_nothing(lab: RunningLab) -> None:
    lab.control("PATCH", INBOX, {"quota": 10})
    assert refused(lab, "POST", f"{INBOX}/messages", {"subject": "x"})[0] == 409
    lab.control("DELETE", f"{INBOX}/messages")


def test_clock_and_limits(lab: RunningLab) -> None:
    assert lab.control("PUT", "/clock", {"skew": -3600})["skew"] == -3600
    assert lab.control("PATCH", "/limits", {"messages_per_minute": None})["messages_per_minute"] is None
    assert lab.control("PATCH", "/limits", {"connections": 1})["messages_per_minute"] is None
    assert lab.control("GET", "/limits")["connections"] == 1
    status, text = refused(lab, "PATCH", "/limits", {"message_size": None})
    assert (status, text) == (400, "message_size: this limit cannot be switched off; set a number.")


WRONG: list[tuple[str, str, Any, int, str]] = [
    ("PUT", "/faults/unknown", {}, 404, "No fault unknown; there are token-down,"),
    ("PUT", "/faults/slow", {"values": {"second": 1}}, 400, "values.second: the fault slow does not take it"),
    ("PUT", "/faults/slow", {"values": {"seconds": "x"}}, 400, "values.seconds: 'x' is not float."),
    ("PUT", "/faults/slow", {"times": 0}, 400, "times: "),
    ("POST", "/applications", {}, 400, "name: Field required"),
    ("POST", "/applications", {"name": "x", "nmae": 1}, 400, "nmae: Extra inputs are not permitted"),
    ("POST", "/applications", {"name": "x", "roles": {"graph": ["Mail.Sent"]}}, 400, "has no app role Mail.Sent"),
    ("POST", "/applications", {"name": "x", "roles": {"sharepoint": ["a"]}}, 400, "resource: no sharepoint"),
    ("POST", "/mailboxes", {"address": "x@elsewhere.example"}, 400, "address: its domain is not of this tenant"),
    ("POST", "/mailboxes", {"address": "support@contoso.example"}, 409, "exists already"),
    ("PUT", f"{INBOX}/rights/read/x", None, 404, "No right read; write one of full-access, send-as, send-on-behalf."),
    ("GET", f"{INBOX}/messages?folder=Nowhere", None, 404, "No folder Nowhere; there are INBOX,"),
    ("POST", f"{INBOX}/messages", {"raw": "not base64!"}, 400, "raw: is not base64"),
    ("POST", f"{INBOX}/messages", {"headers": {"X-A": "a\r\nb: c"}}, 400, "headers.X-A: "),
    ("POST", "/users", {"upn": "megan@contoso.example", "name": "x"}, 409, "exists already"),
    ("PUT", "/issuers", {"issuer": "x", "jwks": {"keys": 1}}, 400, "jwks: is not a JSON Web Key Set"),
    ("PUT", "/clock", {"skew": "soon"}, 400, "skew: "),
    ("POST", "/device-codes/AAAA", {"user": "megan@contoso.example"}, 404, "AADSTS70018"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "text"), WRONG)
def test_wrong_request_is_told_what_is_wrong(
    lab: RunningLab, method: str, path: str, body: Any, status: int, text: str
) -> None:
    answered, said = refused(lab, method, path, body)
    assert answered == status
    assert text in said


def test_certificate_must_be_one(lab: RunningLab) -> None:
    path = f"/applications/{lab.application['client_id']}/certificates"
    assert "certificate: not a certificate" in refused(lab, "POST", path, {"certificate": "AAAA"})[1]


def test_reset_puts_everything_back(lab: RunningLab) -> None:
    before = lab.control("GET", "/state")
    lab.control("POST", f"{INBOX}/messages", {"subject": "x"})
    lab.control("POST", "/mailboxes", {"address": "new@contoso.example"})
    lab.control("DELETE", f"/applications/{lab.application['client_id']}")
    lab.control("PUT", "/faults/slow")
    lab.control("PUT", "/clock", {"skew": 100})
    lab.control("PATCH", "/limits", {"connections": None})
    lab.reset()
    after = lab.control("GET", "/state")
    assert after | {"clock": None} == before | {"clock": None}
    assert lab.token()


def test_introspection_tells_a_mail_server_of_a_token(lab: RunningLab) -> None:
    def asked(token: str, query: str = "") -> dict[str, Any]:
        with httpx2.Client(trust_env=False) as http:
            answer: dict[str, Any] = http.post(lab.introspection_url + query, data={"token": token}).json()
            return answer

    token = lab.token()
    answer = asked(token, "?user=support@contoso.example")
    assert (answer["active"], answer["username"]) == (True, "support@contoso.example")
    assert answer["scope"] == "IMAP.AccessAsApp POP.AccessAsApp SMTP.SendAsApp"
    assert asked(token)["username"] == "notifications@contoso.example"
    assert asked(token, "?user=megan@contoso.example") == {"active": False}
    assert asked(lab.token("https://graph.microsoft.com")) == {"active": False}
    assert asked("garbage") == {"active": False}
    lab.control("PUT", "/clock", {"skew": 4000})
    assert asked(token) == {"active": False}
