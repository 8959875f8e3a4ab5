"""An application that sets another up, over the wire: grants by Graph, cmdlets by InvokeCommand, then mail by IMAP."""

from __future__ import annotations

import imaplib
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from m365lab.contoso import EXCHANGE_ADMINISTRATOR
from support.lab import RunningLab

Token = Callable[[dict[str, Any], str], str]


@pytest.fixture
def http(lab: RunningLab) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=lab.cloud["graph"], verify=lab.ssl_context(), trust_env=False) as client:
        yield client


@pytest.fixture
def token(lab: RunningLab, http: httpx2.Client) -> Token:
    """A token for an application as the control API describes it."""

    def get(application: dict[str, Any], resource: str) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": application["app_id"],
            "client_secret": application["secrets"][0]["value"],
            "scope": f"{resource}/.default",
        }
        return str(http.post(f"/{lab.tenant_id}/oauth2/v2.0/token", data=form).json()["access_token"])

    return get


def test_one_application_sets_up_another(lab: RunningLab, http: httpx2.Client, token: Token) -> None:
    rights = {"exchange": ["Exchange.ManageAsApp"], "graph": ["RoleManagement.ReadWrite.Directory"]}
    setter = lab.control("POST", "/applications", {"name": "Setter", "roles": rights})
    reader = lab.control("POST", "/applications", {"name": "Reader", "roles": {"exchange": ["IMAP.AccessAsApp"]}})
    exchange = {"Authorization": f"Bearer {token(setter, lab.cloud['exchange_resource'])}"}
    graph = {"Authorization": f"Bearer {token(setter, lab.cloud['graph_resource'])}"}
    invoke = f"/adminapi/beta/{lab.tenant_id}/InvokeCommand"

    def run(cmdlet: str, **parameters: Any) -> httpx2.Response:
        body = {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}}
        return http.post(invoke, json=body, headers=exchange)

    assert run("Get-Mailbox").status_code == 403
    role = {
        "principalId": setter["service_principal_id"],
        "roleDefinitionId": EXCHANGE_ADMINISTRATOR,
        "directoryScopeId": "/",
    }
    assigned = http.post("/v1.0/roleManagement/directory/roleAssignments", json=role, headers=graph)
    assert assigned.status_code == 201
    principal = reader["service_principal_id"]
    for cmdlet, parameters in (
        ("New-Mailbox", {"Shared": True, "Name": "Sales", "Alias": "sales"}),
        ("New-ServicePrincipal", {"AppId": reader["app_id"], "ObjectId": principal}),
        ("Add-MailboxPermission", {"Identity": "sales", "User": principal, "AccessRights": ["FullAccess"]}),
    ):
        assert run(cmdlet, **parameters).status_code == 200
    address = f"sales@{lab.domain}"
    bearer = token(reader, lab.cloud["exchange_resource"])
    sasl = f"user={address}\x01auth=Bearer {bearer}\x01\x01".encode()
    with imaplib.IMAP4_SSL(lab.cloud["imap_host"], lab.cloud["imap_port"], ssl_context=lab.ssl_context()) as imap:
        imap.authenticate("XOAUTH2", lambda _: sasl)
        assert imap.select("INBOX") == ("OK", [b"0"])
