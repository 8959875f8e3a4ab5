"""Graph as it is served: over TLS, by Entra's own tokens, with answers that get lost on a real connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx2
import pytest

from support.lab import RunningLab


@pytest.fixture
def http(lab: RunningLab) -> Iterator[httpx2.Client]:
    """A client with a token that was fetched as an application fetches it."""
    verify: ssl.SSLContext = lab.ssl_context()
    with httpx2.Client(base_url=lab.cloud["graph"], verify=verify, trust_env=False) as client:
        answer = client.post(
            f"/{lab.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": lab.application["client_id"],
                "client_secret": lab.application["client_secret"],
                "scope": "https://graph.microsoft.com/.default",
            },
        )
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def mail(lab: RunningLab, address: str) -> dict[str, object]:
    return {"message": {"subject": "Hi", "toRecipients": [{"emailAddress": {"address": address}}]}}


@pytest.mark.parametrize("version", ["v1.0", "beta"])
def test_sent_and_read_back(lab: RunningLab, http: httpx2.Client, version: str) -> None:
    user = f"/{version}/users/{lab.application['mailbox']}"
    answer = http.post(f"{user}/sendMail", json=mail(lab, lab.application["mailbox"]))
    assert (answer.status_code, answer.content) == (202, b"")
    assert len(answer.headers.get_list("date")) == 1
    listed = http.get(f"{user}/mailFolders/inbox/messages?$select=subject").json()
    assert [item["subject"] for item in listed["value"]] == ["Hi"]
    assert listed["@odata.context"].startswith(f"{lab.cloud['graph']}/{version}/$metadata#")


def test_a_lost_answer_is_a_lost_connection(lab: RunningLab, http: httpx2.Client) -> None:
    user = f"/v1.0/users/{lab.application['mailbox']}"
    lab.control("PUT", "/faults/graph-lost", {"times": 1})
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        http.post(f"{user}/sendMail", json=mail(lab, lab.application["mailbox"]))
    assert len(http.get(f"{user}/mailFolders/inbox/messages").json()["value"]) == 1


def test_a_client_that_sends_too_much_hears_of_it(lab: RunningLab, http: httpx2.Client) -> None:
    at = f"/v1.0/users/{lab.application['mailbox']}/sendMail"
    answer = http.post(at, content=b"x" * 30 * 1024 * 1024, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 413
