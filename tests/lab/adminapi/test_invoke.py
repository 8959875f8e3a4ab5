"""InvokeCommand itself: who is let in, the envelope, pages, errors, and how parameters are bound."""

from __future__ import annotations

import pytest

from m365lab.faults import Fault, FaultName
from support.exchange_admin import EXCHANGE, Exchange

READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"


def test_role_and_directory_role_are_both_wanted(exchange: Exchange) -> None:
    """401 with neither, 403 with the app role only, 200 with both (facts 4.4)."""
    held = exchange.ready.principal.directory_roles
    roles, neither = set(held), {"Authorization": f"Bearer {exchange.token('IMAP.AccessAsApp')}"}
    assert exchange.post("Get-Mailbox", headers=neither).status_code == 401
    held.clear()
    assert exchange.post("Get-Mailbox", headers=neither).status_code == 401
    forbidden = exchange.post("Get-Mailbox")
    assert forbidden.status_code == 403
    with pytest.raises(ValueError, match="Expecting value"):
        forbidden.json()
    held.update(roles)
    assert exchange.post("Get-Mailbox").status_code == 200


def test_a_reader_may_look_and_not_change(exchange: Exchange) -> None:
    exchange.ready.principal.directory_roles.clear()
    exchange.ready.principal.directory_roles.add(READER)
    assert exchange.post("Get-Mailbox").status_code == 200
    assert exchange.post("Set-CASMailbox", Identity="megan", ImapEnabled=False).status_code == 403
    assert exchange.mailbox("megan").imap_enabled is True


def test_a_signed_in_administrator(exchange: Exchange) -> None:
    tokens, users = exchange.tenant.tokens, exchange.tenant.directory
    for upn, scopes, status in (
        ("admin@contoso.example", "AdminApi.AccessAsUser.All", 200),
        ("admin@contoso.example", "User.Read", 401),
        ("megan@contoso.example", "AdminApi.AccessAsUser.All", 403),
    ):
        user = users.user(upn)
        assert user is not None
        token = tokens.user_token("client", EXCHANGE, scopes, user.id, upn)
        assert exchange.post("Get-Mailbox", headers={"Authorization": f"Bearer {token}"}).status_code == status


def test_wrong_audience_wrong_tenant_and_no_token(exchange: Exchange) -> None:
    graph = {"Authorization": f"Bearer {exchange.token(audience='https://graph.microsoft.com')}"}
    assert exchange.post("Get-Mailbox", headers=graph).status_code == 401
    assert exchange.post("Get-Mailbox", headers={"Authorization": ""}).status_code == 401
    assert exchange.post("Get-Mailbox", url="/adminapi/beta/other.example/InvokeCommand").status_code == 401
    assert exchange.post("Get-Mailbox", url="/adminapi/beta/contoso.example/InvokeCommand").status_code == 200


def test_errors_have_microsofts_shape(exchange: Exchange) -> None:
    answer = exchange.post("Get-Mailbox", Identity="nobody@contoso.example")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("NotFound", "Error executing cmdlet")
    id_, kind, text = error["details"][0]["message"].split("|")
    assert (id_, kind) == ("Ex6F9304", "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException")
    assert text.startswith(
        "The operation couldn't be performed because object 'nobody@contoso.example' couldn't be found"
    )
    assert error["innererror"]["internalexception"]["type"] == kind


def test_what_is_not_understood(exchange: Exchange) -> None:
    assert exchange.fails("Get-Mailbox", Nonsense=1)[:2] == (400, "AmbiguousParameterSetException")
    assert exchange.fails("Get-Nonsense")[:2] == (400, "CommandNotFoundException")
    assert exchange.fails("Set-CASMailbox", Identity="megan", ImapEnabled="perhaps")[0] == 400
    headers = {"Authorization": f"Bearer {exchange.token()}"}
    for body in (b"", b"[]", b'{"CmdletInput": {}}', b'{"CmdletInput": {"CmdletName": 5}}'):
        assert exchange.http.post(exchange.url, content=body, headers=headers).status_code == 400


def test_names_are_bound_without_case_and_values_by_their_beginning(exchange: Exchange) -> None:
    app_id = exchange.ready.application.app_id
    row = exchange.run(
        "add-mailboxpermission",
        identity="MEGAN",
        user=app_id,
        ACCESSRIGHTS=["full"],
        InheritanceType="all",
        Confirm=False,
    )
    assert row[0]["AccessRights"] == ["FullAccess"]
    assert exchange.fails("Add-MailboxPermission", Identity="megan", User=app_id, AccessRights=["Change"])[0] == 400


def test_pages_are_got_by_posting_the_same_again(exchange: Exchange) -> None:
    names, url = [], exchange.url + "?$select=PrimarySmtpAddress"
    while url:
        answer = exchange.post("Get-Mailbox", url=url, headers={"Prefer": "odata.maxpagesize=4"}).json()
        assert len(answer["value"]) <= 4
        assert all(row.keys() == {"PrimarySmtpAddress"} for row in answer["value"])
        names += [row["PrimarySmtpAddress"] for row in answer["value"]]
        url = answer.get("@odata.nextLink", "")
    assert sorted(names) == sorted(exchange.tenant.exchange.mailboxes)


def test_throttled_in_plain_text_and_any_error(exchange: Exchange) -> None:
    exchange.tenant.faults.switch_on(Fault(FaultName.ADMIN_THROTTLED, 1, {"retry_after": 9}))
    answer = exchange.post("Get-Mailbox")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
    assert answer.text.startswith("You have reached the maximum number of concurrent requests per tenant.")
    exchange.tenant.faults.switch_on(Fault(FaultName.ADMIN_ERROR, 1, {"status": 500, "type": "A.B", "text": "odd"}))
    assert exchange.fails("Get-Mailbox") == (500, "B", "odd")
    assert exchange.post("Get-Mailbox").status_code == 200
