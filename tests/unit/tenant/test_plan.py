"""The plan: each planted fault is named and mended, the same input gives the same plan, others keep what is theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from postroom.tenant.calls import Cmdlet, GraphCall
from postroom.tenant.needs import consented_roles, scoped_roles
from postroom.tenant.observed import (
    Asked,
    CertificateSeen,
    DelegatedSeen,
    ExchangePrincipal,
    Held,
    Observed,
    ScopedRole,
)
from postroom.tenant.plan import plan
from postroom.tenant.rights import Right
from postroom.tenant.steps import Plan, Weight
from postroom.tenant.wanted import (
    CredentialKind,
    ReadBy,
    Restriction,
    SendBy,
    Wanted,
    WantedCredential,
    WantedMailbox,
)

from .states import (
    BOX,
    CLIENT_ID,
    EMPTY,
    FROM,
    NOW,
    OTHER_ID,
    PERSON,
    PRINCIPAL_ID,
    WANTED,
    asked,
    good,
    granted,
    with_application,
    with_box,
    with_principal,
)

CERTIFICATE = replace(WANTED, credential=WantedCredential(CredentialKind.CERTIFICATE))
USER = replace(WANTED, mailboxes=(WantedMailbox(BOX),))
GRAPH = "00000003-0000-0000-c000-000000000000"
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"


def found(result: Plan) -> dict[str, str]:
    """Finding id -> key of the step that mends it."""
    return {one.id: one.mended_by for one in result.findings}


def test_nothing_to_do() -> None:
    result = plan(WANTED, good(), NOW)
    assert result.nothing_to_do, result.to_data()
    assert result.findings == ()


PLANTED: list[tuple[str, str, Wanted, Callable[[Observed], Observed]]] = [
    (
        "wrong-object-id",
        f"exchange-principal:remove:{OTHER_ID}",
        WANTED,
        lambda s: replace(s, exchange_principals=(ExchangePrincipal(CLIENT_ID, OTHER_ID, frozenset({OTHER_ID})),)),
    ),
    (
        "consent-missing",
        "consent:exchange:SMTP.SendAsApp",
        WANTED,
        lambda s: with_principal(s, granted=granted("exchange", "IMAP.AccessAsApp", "POP.AccessAsApp")),
    ),
    (
        "permission-missing",
        "application:permissions",
        WANTED,
        lambda s: with_application(s, asked=asked("IMAP.AccessAsApp", "POP.AccessAsApp")),
    ),
    ("full-access-missing", f"full-access:{BOX}", WANTED, lambda s: with_box(s, full_access=frozenset({PERSON}))),
    ("send-as-missing", f"also-from:{FROM}:{BOX}", WANTED, lambda s: replace(s, senders={FROM: frozenset()})),
    ("smtp-auth-off-mailbox", f"protocols:{BOX}", WANTED, lambda s: with_box(s, smtp_auth_off=True)),
    (
        "smtp-auth-off-tenant",
        f"protocols:{BOX}",
        WANTED,
        lambda s: replace(with_box(s, smtp_auth_off=None), smtp_auth_off=True),
    ),
    (
        "secret-expired",
        "credential:secret",
        WANTED,
        lambda s: replace(s, held=(Held("secret", "key-1", NOW - timedelta(days=1), made_here=True),)),
    ),
    (
        "certificate-not-uploaded",
        "credential:upload:ABCD",
        CERTIFICATE,
        lambda s: replace(s, held=(Held("certificate", "ABCD", NOW + timedelta(days=90)),)),
    ),
    (
        "licence-missing",
        f"licence:{BOX}",
        USER,
        lambda s: with_box(s, shared=False),
    ),
    ("principal-disabled", "principal:enable", WANTED, lambda s: with_principal(s, enabled=False)),
    (
        "unscoped-graph-role",
        "consent-revoke:grant-Mail.Send",
        WANTED,
        lambda s: with_principal(
            s,
            granted=granted("exchange", "SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp")
            + granted("graph", "Mail.Send"),
        ),
    ),
    (
        "delegated-permission",
        "application:permissions",
        WANTED,
        lambda s: with_application(
            s,
            asked=(
                *asked("IMAP.AccessAsApp", "POP.AccessAsApp"),
                Asked(EXCHANGE, "76faac2a-0f20-42f1-928a-50de5b9dbe52", "Scope"),
            ),
        ),
    ),
    (
        "delegated-permission",
        "delegated-revoke:d-1",
        WANTED,
        lambda s: with_principal(s, delegated=(DelegatedSeen("d-1", "x", ("SMTP.Send",)),)),
    ),
    ("imap-off", f"protocols:{BOX}", WANTED, lambda s: with_box(s, imap=False)),
    ("pop-off", f"protocols:{BOX}", WANTED, lambda s: with_box(s, pop=False)),
    ("member-missing", f"member:{BOX}:{PERSON}", WANTED, lambda s: with_box(s, full_access=frozenset({"s-1-5-21-1"}))),
    ("mailbox-missing", f"mailbox:{BOX}", WANTED, lambda s: replace(s, mailboxes={})),
    (
        "permission-too-many",
        "consent-revoke:grant-full_access_as_app",
        WANTED,
        lambda s: with_principal(
            s,
            granted=granted("exchange", "SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp", "full_access_as_app"),
        ),
    ),
    ("scope-differs", "scope", WANTED, lambda s: replace(s, scopes={"Postroom": "Alias -eq 'x'"})),
    ("scoped-role-missing", "scoped-role:Mail.ReadWrite", WANTED, lambda s: replace(s, scoped_roles=())),
    (
        "unscoped-assignment",
        "unscoped-assignment:two",
        WANTED,
        lambda s: replace(s, scoped_roles=(*s.scoped_roles, ScopedRole("two", "Mail.ReadWrite", ""))),
    ),
    ("configuration-missing", f"configuration:{BOX}", WANTED, lambda s: replace(s, configured={})),
    ("exchange-principal-missing", "exchange-principal", WANTED, lambda s: replace(s, exchange_principals=())),
    (
        "secret-left-over",
        "credential-remove:key-0",
        WANTED,
        lambda s: with_application(
            replace(s, held=(*s.held, Held("secret", "key-0", replaced_at=NOW - timedelta(days=2), made_here=True))),
            secrets=(*s.application.secrets, replace(s.application.secrets[0], key_id="key-0")),  # type: ignore[union-attr]
        ),
    ),
]


@pytest.mark.parametrize(("finding", "step", "wanted", "plant"), PLANTED, ids=[f"{p[0]}-{p[1]}" for p in PLANTED])
def test_planted_fault_is_named_and_mended(
    finding: str, step: str, wanted: Wanted, plant: Callable[[Observed], Observed]
) -> None:
    result = plan(wanted, plant(good(wanted)), NOW)
    assert (finding, step) in {(one.id, one.mended_by) for one in result.findings}
    assert step in [one.key for one in result.steps]
    assert not result.nothing_to_do


def test_warnings_change_nothing() -> None:
    soon = NOW + timedelta(days=10)
    state = with_application(good(), secrets=(replace(good().application.secrets[0], ends_at=soon),))  # type: ignore[union-attr]
    state = replace(state, held=(Held("secret", "key-1", soon),), security_defaults=True)
    result = plan(WANTED, state, NOW)
    assert found(result) == {"credential-expiring": "", "security-defaults": ""}
    assert {one.weight for one in result.findings} == {Weight.WARNING}
    assert result.nothing_to_do


def test_empty_tenant_has_no_drift() -> None:
    result = plan(WANTED, EMPTY, NOW)
    assert result.findings == ()
    keys = [step.key for step in result.steps]
    assert keys[0] == "application"
    assert keys[-1] == f"configuration:{BOX}"
    by_key = {step.key: step for step in result.steps}
    assert set(by_key[f"configuration:{BOX}"].depends_on) == set(keys[:-1])
    assert set(by_key[f"full-access:{BOX}"].depends_on) == {"exchange-principal", f"mailbox:{BOX}"}
    for step in result.steps:
        assert step.calls or step.key.startswith("configuration:")
        assert all(keys.index(dependency) < keys.index(step.key) for dependency in step.depends_on)


def test_only_what_is_used_is_asked_for() -> None:
    values = {role.value for role in consented_roles(WANTED)}
    assert values == {"SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"}
    assert scoped_roles(WANTED) == ("Mail.ReadWrite",)
    only_send = replace(WANTED, read=())
    assert [role.value for role in consented_roles(only_send)] == ["SMTP.SendAsApp"]
    scoped = replace(only_send, restrict_smtp=Restriction.SCOPE)
    assert consented_roles(scoped) == ()
    assert scoped_roles(scoped) == ("SMTP.SendAsApp",)
    result = plan(scoped, EMPTY, NOW)
    assert not any(step.key.startswith("full-access:") for step in result.steps)
    wide = Wanted("contoso.example", (WantedMailbox(BOX),), send=(SendBy.GRAPH,), read=(ReadBy.GRAPH,))
    wide = replace(wide, restrict_graph=Restriction.NONE)
    assert {role.value for role in consented_roles(wide)} == {"Mail.Send", "Mail.ReadWrite"}


def test_same_input_same_hash() -> None:
    first, second = plan(WANTED, EMPTY, NOW), plan(WANTED, EMPTY, NOW + timedelta(hours=1))
    assert first.hash == second.hash
    assert first.to_data() == second.to_data()
    assert plan(replace(WANTED, application="Other"), EMPTY, NOW).hash != first.hash


def test_from_an_application_of_others_nothing_is_taken() -> None:
    state = with_principal(
        replace(good(), made_here=False),
        granted=granted("exchange", "SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp", "full_access_as_app")
        + granted("graph", "Mail.Send"),
        delegated=(DelegatedSeen("d-1", "x", ("SMTP.Send",)),),
    )
    state = with_application(state, asked=(*asked("IMAP.AccessAsApp"), *asked("full_access_as_app")))
    result = plan(WANTED, state, NOW)
    deletions = [c for s in result.steps for c in s.calls if isinstance(c, GraphCall) and c.method == "DELETE"]
    assert deletions == []
    assert {"unscoped-graph-role", "permission-too-many", "delegated-permission"} <= set(found(result))
    patch = next(step for step in result.steps if step.key == "application:permissions").calls[0]
    assert isinstance(patch, GraphCall)
    assert patch.body is not None
    ids = {entry["id"] for one in patch.body["requiredResourceAccess"] for entry in one["resourceAccess"]}
    assert {"r-smtp", "r-imap", "r-pop", "r-ews"} == ids


@pytest.mark.parametrize(
    ("finding", "wanted", "state"),
    [
        ("mailbox-missing", USER, replace(good(), mailboxes={}, users={})),
        ("licence-missing", USER, replace(with_box(good(), shared=False), licences=())),
        ("application-ambiguous", WANTED, replace(EMPTY, same_name=2)),
        ("application-missing", replace(WANTED, client_id=CLIENT_ID), EMPTY),
        ("resource-missing", WANTED, replace(EMPTY, resources={})),
        (
            "role-unknown",
            WANTED,
            replace(EMPTY, resources={"exchange": replace(EMPTY.resources["exchange"], roles={})}),
        ),
    ],
)
def test_what_blocks(finding: str, wanted: Wanted, state: Observed) -> None:
    result = plan(wanted, state, NOW)
    assert finding in [one.id for one in result.blocked]
    assert not result.nothing_to_do


def test_wrong_object_id_is_removed_before_the_right_one_is_added() -> None:
    state = replace(good(), exchange_principals=(ExchangePrincipal(CLIENT_ID, OTHER_ID, frozenset({OTHER_ID})),))
    steps = {step.key: step for step in plan(WANTED, state, NOW).steps}
    assert f"exchange-principal:remove:{OTHER_ID}" in steps["exchange-principal"].depends_on
    call = steps["exchange-principal"].calls[0]
    assert isinstance(call, Cmdlet)
    filled = call.filled({"client_id": CLIENT_ID, "service_principal_id": PRINCIPAL_ID})
    assert filled.parameters["ObjectId"] == PRINCIPAL_ID


def test_certificate_states() -> None:
    held = Held("certificate", "ABCD", NOW + timedelta(days=90))
    uploaded = with_application(
        replace(good(CERTIFICATE), held=(held,)), certificates=(CertificateSeen("k", "ABCD", NOW + timedelta(days=90)),)
    )
    assert plan(CERTIFICATE, uploaded, NOW).nothing_to_do
    expired = replace(uploaded, held=(replace(held, expires_at=NOW - timedelta(days=1)),))
    assert found(plan(CERTIFICATE, expired, NOW))["certificate-expired"] == "credential:certificate"


def test_rights_follow_the_steps() -> None:
    assert plan(WANTED, good(), NOW).needs == {Right.READ_DIRECTORY}
    needs = plan(WANTED, EMPTY, NOW).needs
    assert needs == {Right.READ_DIRECTORY, Right.WRITE_APPLICATIONS, Right.GRANT_EXCHANGE_ROLES, Right.EXCHANGE}


def test_shared_mailbox_of_a_person_named_with_a_quote_is_quoted_in_the_filter() -> None:
    wanted = replace(WANTED, mailboxes=(WantedMailbox("o'brien@contoso.example", shared=True),))
    scope = next(step for step in plan(wanted, EMPTY, NOW).steps if step.key == "scope").calls[0]
    assert isinstance(scope, Cmdlet)
    assert scope.parameters["RecipientRestrictionFilter"] == "PrimarySmtpAddress -eq 'o''brien@contoso.example'"
