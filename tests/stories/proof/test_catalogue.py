"""Rows of the error catalogue that a proof comes by, each provoked: one cause is named, its own, and no other.

The other rows are in `test_elsewhere.py`; `test_proved.py` sees to it that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from postroom.mailboxes import credentials
from postroom.mailboxes.models import Mailbox

from .conftest import BY, World, faults, new_guid
from .otherservers import closed_port

Arrange = Callable[[World], Mailbox]


def struck(name: str, **values: Any) -> Arrange:
    """The ready-made mailbox, and this fault of the lab switched on."""

    def arrange(world: World) -> Mailbox:
        world.fault(name, **values)
        return world.mailbox()

    return arrange


def typed(**differences: Any) -> Arrange:
    """The ready-made mailbox with something else typed in."""
    return lambda world: world.mailbox(**differences)


def switched(**values: Any) -> Arrange:
    """The ready-made mailbox, with switches of the mailbox in Exchange set."""

    def arrange(world: World) -> Mailbox:
        world.change_mailbox(**values)
        return world.mailbox()

    return arrange


def reply(step: str, words: str) -> Arrange:
    return struck("smtp-reply", step=step, reply=words)


def no_consent(world: World) -> Mailbox:
    world.revoke("SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp")
    return world.mailbox()


def role_missing(world: World) -> Mailbox:
    world.revoke("SMTP.SendAsApp")
    return world.mailbox()


def graph_role_missing(world: World) -> Mailbox:
    world.revoke("Mail.Send", resource="graph")
    return world.mailbox(provider="microsoft-365-graph")


def unknown_to_exchange(world: World) -> Mailbox:
    world.lab.control("DELETE", f"/exchange/principals/{world.principal}")
    return world.mailbox()


def registered_under_another_id(world: World) -> Mailbox:
    world.lab.control("DELETE", f"/exchange/principals/{world.principal}")
    wrong = {"app_id": world.application, "object_id": world.lab.application["object_id"]}
    world.lab.control("POST", "/exchange/principals", wrong)
    return world.mailbox()


def no_full_access(world: World) -> Mailbox:
    world.lab.control("DELETE", f"/mailboxes/{world.address}/rights/full-access/{world.principal}")
    return world.mailbox()


def tenant_without_smtp(world: World) -> Mailbox:
    world.lab.control("PATCH", "/exchange", {"smtp_auth_disabled": True})
    return world.mailbox()


def with_a_password(**differences: Any) -> Arrange:
    def arrange(world: World) -> Mailbox:
        mailbox = world.mailbox(sign_in_by="password", **differences)
        credentials.add(mailbox, "password", "correct horse battery staple", None, BY)
        return mailbox

    return arrange


def passwords_retired(world: World) -> Mailbox:
    world.lab.control("PATCH", "/exchange", {"basic_auth_retired": True})
    return with_a_password()(world)


def secret_ended(world: World) -> Mailbox:
    for secret in world.lab.control("GET", f"/applications/{world.application}")["secrets"]:
        world.lab.control("POST", f"/applications/{world.application}/secrets/{secret['key_id']}/expire")
    return world.mailbox()


def disabled_application(world: World) -> Mailbox:
    world.lab.control("PATCH", f"/applications/{world.application}/principal", {"enabled": False})
    return world.mailbox()


def certificate_not_uploaded(world: World) -> Mailbox:
    mailbox = world.mailbox(secret="")
    credentials.generate_certificate(credentials.owner_of(mailbox), BY)
    return mailbox


def federated(subject: str | None, **claims: Any) -> Arrange:
    """A federated token file for this subject, or none; the application trusts the subject "postroom"."""

    def arrange(world: World) -> Mailbox:
        mailbox = world.mailbox(secret="")
        file = world.home / "token"
        if subject is not None:
            issued = world.lab.control("POST", "/federated-token", {"subject": subject} | claims)
            file.write_text(issued["token"])
            trusted = {"issuer": issued["issuer"], "subject": "postroom"}
            world.lab.control("POST", f"/applications/{world.application}/federated", trusted)
        credentials.add(credentials.owner_of(mailbox), "federated-file", str(file), None, BY)
        return mailbox

    return arrange


def cloud(**differences: Any) -> Arrange:
    def arrange(world: World) -> Mailbox:
        world.cloud(**differences)
        return world.mailbox()

    return arrange


def at_another_name(world: World) -> Mailbox:
    """0.0.0.0 is the machine itself, too, but no certificate is for it."""
    return world.mailbox(smtp_host="0.0.0.0", smtp_port=world.lab.cloud["smtp_port"])


def registration_id_typed(world: World) -> Mailbox:
    wrong = world.lab.application["object_id"]
    mailbox = world.mailbox(service_principal_id=wrong)
    # Typed in again later, as the optional one: at entry both would be refused together.
    assert mailbox.application is not None
    type(mailbox.application).objects.update(object_id=wrong)
    mailbox.refresh_from_db()
    return mailbox


def without_a_mailbox(world: World) -> Mailbox:
    world.lab.control("POST", "/users", {"upn": "guest@contoso.example", "name": "Guest"})
    return world.mailbox(provider="microsoft-365-graph", address="guest@contoso.example")


def limited(**values: int) -> Arrange:
    def arrange(world: World) -> Mailbox:
        world.lab.control("PATCH", "/limits", values)
        return world.mailbox()

    return arrange


def graph_fault(name: str, **values: Any) -> Arrange:
    def arrange(world: World) -> Mailbox:
        world.fault(name, **values)
        return world.mailbox(provider="microsoft-365-graph")

    return arrange


def limited_graph(**values: int) -> Arrange:
    def arrange(world: World) -> Mailbox:
        world.lab.control("PATCH", "/limits", values)
        return world.mailbox(provider="microsoft-365-graph")

    return arrange


def entra_says(code: int, error: str, text: str, status: int = 400) -> Arrange:
    return struck("entra-error", code=code, status=status, error=error, text=text)


def graph_says(status: int, code: str, text: str) -> Arrange:
    return graph_fault("graph-error", status=status, code=code, text=text)


EXCHANGE_SP = {"send-sign-in": "exchange-service-principal", "read-sign-in": "exchange-service-principal"}

ROWS: list[tuple[str, Arrange, dict[str, str]]] = [
    # how it is provoked, in one phrase; how to; what is named at which stage
    # the way there
    ("a server name that nobody has", typed(smtp_host="no-such-host.invalid"), {"resolve": "network-name"}),
    (
        "a port on which nothing listens",
        typed(smtp_host="localhost", smtp_port=closed_port()),
        {"connect": "network-refused"},
    ),
    ("fault `smtp-lost-before-answer`", struck("smtp-lost-before-answer"), {"message-sent": "network-lost"}),
    ("fault `imap-lost`", struck("imap-lost"), {"folder": "network-lost"}),
    ("a proxy that is not there", typed(proxy=f"http://127.0.0.1:{closed_port()}"), {"token": "network-proxy"}),
    ("the lab's authority not trusted", cloud(ca_file=""), {"token": "certificate-authority"}),
    ("a file of authorities that is not there", cloud(ca_file="/no/such/file.pem"), {"token": "certificate-file"}),
    ("a server called by a name that its certificate lacks", at_another_name, {"tls": "certificate-name"}),
    ("TLS from the first byte on a port for STARTTLS", typed(smtp_security="tls"), {"tls": "tls-plain-answer"}),
    # Entra
    (
        "a client secret that the application does not have",
        typed(secret="Qx8~gone.Secret-value_0123456789abcdWXYZ"),
        {"token": "entra-wrong-secret"},
    ),
    ("a client secret whose time is over", secret_ended, {"token": "entra-secret-expired"}),
    ("a client id that nobody has", typed(client_id=new_guid()), {"token": "entra-application-unknown"}),
    ("a tenant that is not there", typed(tenant=new_guid()), {"token": "entra-tenant-unknown"}),
    (
        "a resource that the tenant does not have",
        cloud(exchange_resource="https://no.such.resource.example"),
        {"token": "entra-resource-missing"},
    ),
    ("a certificate that was not uploaded", certificate_not_uploaded, {"token": "entra-certificate-unknown"}),
    ("a federated token of another subject", federated("somebody else"), {"token": "entra-federation-unmatched"}),
    ("a federated token past its time", federated("postroom", lifetime=-600), {"token": "entra-assertion-time"}),
    (
        "a federated token for another audience",
        federated("postroom", audience="api://elsewhere"),
        {"token": "entra-federation-unmatched"},
    ),
    ("a federated token file that is not there", federated(None), {"token": "credential-unusable"}),
    ("fault `conditional-access`", struck("conditional-access"), {"token": "entra-conditional-access"}),
    ("the service principal switched off", disabled_application, {"token": "entra-application-disabled"}),
    ("fault `token-throttled`", struck("token-throttled", retry_after=1), {"token": "entra-throttled"}),
    ("fault `token-down`", struck("token-down"), {"token": "entra-unavailable"}),
    # the token's claims
    ("no admin consent at all", no_consent, {"claims": "no-consent"}),
    ("SMTP.SendAsApp taken away", role_missing, {"claims": "role-missing"}),
    ("Mail.Send taken away", graph_role_missing, {"claims": "role-missing"}),
    (
        "the App registration's object id typed in, twice",
        registration_id_typed,
        {"claims": "object-id-of-registration"},
    ),
    ("another object id typed in", typed(service_principal_id=new_guid()), {"claims": "object-id-mismatch"}),
    (
        "a token for Exchange PowerShell",
        cloud(exchange_resource="https://ps.outlook.com"),
        {"send-sign-in": "wrong-audience", "read-sign-in": "wrong-audience"},
    ),
    # Exchange
    ("the service principal not known to Exchange", unknown_to_exchange, EXCHANGE_SP),
    ("the service principal known under the registration's object id", registered_under_another_id, EXCHANGE_SP),
    ("FullAccess taken away", no_full_access, {"message-sent": "smtp-mailbox-logon", "folder": "full-access-missing"}),
    ("IMAP switched off on the mailbox", switched(imap_enabled=False), {"folder": "imap-disabled"}),
    (
        "POP switched off on the mailbox",
        lambda world: (world.change_mailbox(pop_enabled=False), world.mailbox(read_by="pop3"))[1],
        {"read-sign-in": "pop-disabled"},
    ),
    (
        "SMTP sign-in switched off on the mailbox",
        switched(smtp_auth_disabled=True),
        {"send-sign-in": "smtp-auth-disabled-mailbox"},
    ),
    (
        "SMTP sign-in switched off for the organisation",
        tenant_without_smtp,
        {"send-sign-in": "smtp-auth-disabled-tenant"},
    ),
    (
        "a password instead of OAuth (SMTP, IMAP)",
        with_a_password(),
        {"send-sign-in": "smtp-basic-disabled", "read-sign-in": "password-refused"},
    ),
    (
        "a password instead of OAuth (SMTP, POP)",
        with_a_password(read_by="pop3"),
        {"send-sign-in": "smtp-basic-disabled", "read-sign-in": "password-refused"},
    ),
    (
        "a password after the retirement of basic authentication",
        passwords_retired,
        {"send-sign-in": "smtp-basic-retired", "read-sign-in": "password-refused"},
    ),
    (
        "no sign-in at all",
        typed(sign_in_by="none", read_inbox=False),
        {"sender": "smtp-not-signed-in"},
    ),
    (
        "the From of another mailbox",
        typed(default_sender="adele@contoso.example"),
        {"message-sent": "smtp-send-as-denied"},
    ),
    (
        "said on command at `MAIL`",
        reply("mail", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
        {"sender": "smtp-sender-not-allowed"},
    ),
    ("no recipients left for the day", limited(recipients_per_day=0), {"message-sent": "smtp-daily-quota"}),
    ("fault `smtp-outbound-spam`", struck("smtp-outbound-spam"), {"message-sent": "smtp-outbound-spam"}),
    ("a mailbox with a quota of one byte", switched(quota=1), {"message-sent": "smtp-own-mailbox-full"}),
    ("a message larger than the limit", limited(message_size=200), {"message-sent": "message-too-large"}),
    ("fault `imap-throttled`", struck("imap-throttled", milliseconds=50), {"folder": "imap-throttled"}),
    ("a folder that is not there", typed(folder="No such folder"), {"folder": "folder-missing"}),
    ("a folder in which no mail arrives", typed(folder="Drafts"), {"read-back": "not-arrived"}),
    (
        "more recipients than a message may have",
        limited(recipients_per_message=1),
        {"message-sent": "too-many-recipients"},
    ),
    (
        "said on command at `RCPT`",
        reply("rcpt", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"),
        {"message-sent": "recipient-unknown"},
    ),
    (
        "said on command at `AUTH`",
        reply("auth", "501 5.5.124 Invalid XOAUTH2 auth data"),
        {"send-sign-in": "smtp-xoauth2-malformed"},
    ),
    ("said on command at `DATA`", reply("data", "571 5.9.9 Something new"), {"message-sent": "unknown"}),
    # Graph
    ("no recipients left for the day", limited_graph(recipients_per_day=0), {"message-sent": "graph-daily-quota"}),
    (
        "the From of another mailbox",
        typed(provider="microsoft-365-graph", default_sender="adele@contoso.example"),
        {"message-sent": "graph-send-as-denied"},
    ),
    (
        "a guest without a mailbox",
        without_a_mailbox,
        {"message-sent": "graph-no-mailbox", "folder": "graph-no-mailbox"},
    ),
    (
        "an address that nobody has",
        typed(provider="microsoft-365-graph", address="nobody@contoso.example"),
        {"message-sent": "graph-user-unknown", "folder": "graph-user-unknown"},
    ),
    (
        "fault `graph-throttled`",
        graph_fault("graph-throttled", retry_after=30),
        {"message-sent": "graph-throttled", "folder": "graph-throttled"},
    ),
    (
        "fault `graph-down`",
        graph_fault("graph-down"),
        {"message-sent": "graph-unavailable", "folder": "graph-unavailable"},
    ),
    ("fault `mailbox-full`", graph_fault("mailbox-full"), {"message-sent": "graph-mailbox-full"}),
]


# What the lab has no cause for, but says on command in the words of facts 5.
ON_COMMAND: list[tuple[str, Arrange, dict[str, str]]] = [
    (
        "said on command by Entra",
        entra_says(1002012, "invalid_scope", "The provided value for scope is not valid."),
        {"token": "entra-scope-not-default"},
    ),
    (
        "said on command by Entra",
        entra_says(28003, "invalid_scope", "Several resources in one scope."),
        {"token": "entra-scope-several"},
    ),
    (
        "said on command by Entra",
        entra_says(50027, "invalid_client", "No certificate thumbprint in token header.", 401),
        {"token": "entra-assertion-invalid"},
    ),
    (
        "said on command by Entra",
        entra_says(65001, "invalid_grant", "The user or administrator has not consented."),
        {"token": "entra-consent-missing"},
    ),
    (
        "said on command by Entra",
        entra_says(7000218, "invalid_request", "The body must contain client_assertion."),
        {"token": "entra-request-incomplete"},
    ),
    ("said on command by Entra", entra_says(50196, "invalid_request", "LoopDetected."), {"token": "entra-loop"}),
    (
        "said on command by Entra",
        entra_says(50034, "invalid_grant", "The account does not exist."),
        {"token": "entra-account-unknown"},
    ),
    (
        "said on command at `AUTH`",
        reply("auth", "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria."),
        {"send-sign-in": "smtp-policy-refused"},
    ),
    (
        "said on command at `DATA`",
        reply("data", "550 5.7.233 tenant exceeded its daily limit for sending"),
        {"message-sent": "smtp-tenant-external-limit"},
    ),
    (
        "said on command at `DATA`",
        reply("data", "550 5.7.232 trial tenant exceeded its daily limit"),
        {"message-sent": "smtp-trial-limit"},
    ),
    (
        "said on command at `DATA`",
        reply("data", "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP."),
        {"message-sent": "smtp-address-refused"},
    ),
    (
        "said on command at `RCPT`",
        reply("rcpt", "550 5.1.2 Domain not found"),
        {"message-sent": "recipient-domain-unknown"},
    ),
    ("said on command at `RCPT`", reply("rcpt", "501 5.1.3 Invalid address"), {"message-sent": "recipient-malformed"}),
    ("said on command at `RCPT`", reply("rcpt", "452 4.2.2 Mailbox full"), {"message-sent": "recipient-full"}),
    (
        "said on command by Graph",
        graph_says(403, "ErrorAccessDenied", "Access to OData is disabled."),
        {"message-sent": "graph-access-policy", "folder": "graph-access-policy"},
    ),
    (
        "said on command by Graph",
        graph_says(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."),
        {"message-sent": "graph-out-of-scope", "folder": "graph-out-of-scope"},
    ),
    (
        "said on command by Graph",
        graph_says(400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content."),
        {"message-sent": "graph-mime-invalid", "folder": "graph-mime-invalid"},
    ),
    (
        "said on command by Graph",
        graph_says(400, "ErrorInvalidRecipients", "At least one recipient is not valid."),
        {"message-sent": "graph-recipient-invalid", "folder": "graph-recipient-invalid"},
    ),
]
ROWS += ON_COMMAND


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [row[1:] for row in ROWS],
    ids=[f"{number:02}-{'-'.join(sorted(set(named.values())))}" for number, (*_, named) in enumerate(ROWS)],
)
def test_one_cause_is_named(world: World, arrange: Arrange, expected: dict[str, str]) -> None:
    proof = world.prove(arrange(world))
    assert faults(proof) == expected, [s["diagnosis"]["evidence"] for s in proof.stages if s["diagnosis"]]
    assert not proof.passed
    for stage in proof.stages:
        if stage["diagnosis"]:
            assert stage["diagnosis"]["fix"]
            assert "{" not in stage["diagnosis"]["command"]


def test_a_mailbox_without_a_credential_is_not_tried(world: World) -> None:
    proof = world.prove(world.mailbox(secret=""))
    assert "has no credential" in faults(proof)["resolve"]
