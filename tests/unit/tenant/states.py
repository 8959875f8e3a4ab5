"""Wanted and observed states for the tests: one that is as it should be, to plant faults in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from postroom.microsoft.ids import application_id
from postroom.tenant.observed import (
    ApplicationSeen,
    Asked,
    Configured,
    ExchangePrincipal,
    Granted,
    Held,
    Licence,
    MailboxSeen,
    Observed,
    PrincipalSeen,
    Resource,
    ScopedRole,
    SecretSeen,
    UserSeen,
)
from postroom.tenant.plan_exchange import scope_filter, scope_name
from postroom.tenant.wanted import ReadBy, SendBy, Wanted, WantedMailbox

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOX = "notifications@contoso.example"
PERSON = "megan@contoso.example"
FROM = "billing@contoso.example"
CLIENT_ID = "11111111-1111-4111-8111-111111111111"
APPLICATION_ID = "22222222-2222-4222-8222-222222222222"
PRINCIPAL_ID = "33333333-3333-4333-8333-333333333333"
OTHER_ID = "44444444-4444-4444-8444-444444444444"
EXCHANGE_ID, GRAPH_ID = "eeeeeeee-0000-4000-8000-000000000000", "99999999-0000-4000-8000-000000000000"

EXCHANGE_ROLES = {
    "SMTP.SendAsApp": "r-smtp",
    "IMAP.AccessAsApp": "r-imap",
    "POP.AccessAsApp": "r-pop",
    "full_access_as_app": "r-ews",
}
GRAPH_ROLES = {"Mail.Send": "r-send", "Mail.ReadWrite": "r-write", "Mail.Read": "r-read"}
RESOURCES = {
    "exchange": Resource(application_id("exchange"), EXCHANGE_ID, EXCHANGE_ROLES),
    "graph": Resource(application_id("graph"), GRAPH_ID, GRAPH_ROLES),
}

WANTED = Wanted(
    tenant="contoso.example",
    send=(SendBy.SMTP,),
    read=(ReadBy.IMAP, ReadBy.POP, ReadBy.GRAPH),
    mailboxes=(WantedMailbox(BOX, "Notifications", shared=True, members=(PERSON,), also_from=(FROM,)),),
)
EMPTY = Observed("tenant-id", "Contoso", resources=RESOURCES, people=frozenset({PERSON}))


def asked(*values: str) -> tuple[Asked, ...]:
    """Entries for app roles of Exchange."""
    return tuple(Asked(application_id("exchange"), EXCHANGE_ROLES[value], "Role") for value in values)


def granted(resource: str, *values: str) -> tuple[Granted, ...]:
    one = RESOURCES[resource]
    return tuple(Granted(f"grant-{value}", one.id, one.roles[value]) for value in values)


def good(wanted: Wanted = WANTED) -> Observed:
    """The state in which nothing is left to do for `WANTED`."""
    ends = NOW + timedelta(days=100)
    roles = ("SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp")
    return Observed(
        tenant_id="tenant-id",
        tenant_name="Contoso",
        resources=RESOURCES,
        application=ApplicationSeen(
            APPLICATION_ID,
            CLIENT_ID,
            "Postroom",
            tags=("postroom",),
            asked=asked(*roles),
            secrets=(SecretSeen("key-1", "Postroom", ends),),
        ),
        made_here=True,
        same_name=1,
        principal=PrincipalSeen(PRINCIPAL_ID, granted=granted("exchange", *roles)),
        exchange_principals=(ExchangePrincipal(CLIENT_ID, PRINCIPAL_ID, frozenset({PRINCIPAL_ID, "s-1-5-21-1"})),),
        mailboxes={
            BOX: MailboxSeen(
                BOX,
                user_id="u-1",
                names=frozenset({BOX, "u-1"}),
                shared=True,
                smtp_auth_off=False,
                full_access=frozenset({"s-1-5-21-1", PERSON}),
            )
        },
        users={BOX: UserSeen("u-1", licensed=False, country="US")},
        people=frozenset({PERSON}),
        senders={FROM: frozenset({BOX, PRINCIPAL_ID})},
        scopes={scope_name(wanted): scope_filter(wanted)},
        scoped_roles=(ScopedRole("one", "Mail.ReadWrite", scope_name(wanted)),),
        licences=(Licence("sku-1", "O365_BUSINESS_ESSENTIALS", 5, has_exchange=True),),
        held=(Held("secret", "key-1", ends, made_here=True),),
        configured={BOX: Configured(CLIENT_ID, PRINCIPAL_ID, "smtp", "imap")},
    )


def with_box(state: Observed, **changes: Any) -> Observed:
    return replace(state, mailboxes={BOX: replace(state.mailboxes[BOX], **changes)})


def with_application(state: Observed, **changes: Any) -> Observed:
    assert state.application is not None
    return replace(state, application=replace(state.application, **changes))


def with_principal(state: Observed, **changes: Any) -> Observed:
    assert state.principal is not None
    return replace(state, principal=replace(state.principal, **changes))
