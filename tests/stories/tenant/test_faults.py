"""Planted faults: each is named by plan and by verify, and mended by apply."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from postroom.microsoft.ids import application_id

from .conftest import BOX, FROM, TEN_LINES, World

OTHER_ID = "44444444-4444-4444-8444-444444444444"
ONE_WAY = TEN_LINES.replace("[imap, pop, graph]", "imap")
WITH_GRAPH = TEN_LINES.replace("[imap, pop, graph]", "graph")
CERTIFICATE = ONE_WAY + "credential: certificate\n"
USER = ONE_WAY.replace(BOX, "adele@contoso.example").replace("    shared: true\n", "")


def wrong_object_id(world: World) -> None:
    world.lab.control("DELETE", f"/exchange/principals/{world.application()['service_principal_id']}")
    world.lab.control("POST", "/exchange/principals", {"app_id": world.application()["app_id"], "object_id": OTHER_ID})


def consent_missing(world: World) -> None:
    world.lab.control("DELETE", f"/applications/{world.application()['id']}/roles/exchange/SMTP.SendAsApp")


def permission_missing(world: World) -> None:
    world.graph("PATCH", f"/applications/{world.application()['id']}", {"requiredResourceAccess": []})


def full_access_missing(world: World) -> None:
    principal = world.application()["service_principal_id"]
    world.lab.control("DELETE", f"/mailboxes/{BOX}/rights/full-access/{principal}")


def send_as_missing(world: World) -> None:
    world.lab.control("DELETE", f"/mailboxes/{FROM}/rights/send-as/{BOX}")


def smtp_off_for_the_mailbox(world: World) -> None:
    world.lab.control("PATCH", f"/mailboxes/{BOX}", {"smtp_auth_disabled": True})


def smtp_off_for_the_tenant(world: World) -> None:
    world.lab.control("PATCH", f"/mailboxes/{BOX}", {"smtp_auth_disabled": "inherit"})
    world.lab.control("PATCH", "/exchange", {"smtp_auth_disabled": True})


def secret_expired(world: World) -> None:
    application = world.application()
    world.lab.control("POST", f"/applications/{application['id']}/secrets/{application['secrets'][0]['key_id']}/expire")
    world.forget_tokens()


def certificate_not_uploaded(world: World) -> None:
    application = world.application()
    key = application["certificates"][0]["key_id"]
    world.lab.control("DELETE", f"/applications/{application['id']}/certificates/{key}")
    world.forget_tokens()


def licence_missing(world: World) -> None:
    world.lab.control("PATCH", "/users/adele@contoso.example", {"licences": []})


def principal_disabled(world: World) -> None:
    world.lab.control("PATCH", f"/applications/{world.application()['id']}/principal", {"enabled": False})
    world.forget_tokens()


def unscoped_graph_role(world: World) -> None:
    body = {"resource": "graph", "roles": ["Mail.ReadWrite"]}
    world.lab.control("POST", f"/applications/{world.application()['id']}/roles", body)


def delegated_permission(world: World) -> None:
    """The classic: the delegated permission was chosen, and the application permission was not."""
    application = world.application()
    asked = [{"id": "76faac2a-0f20-42f1-928a-50de5b9dbe52", "type": "Scope"}]
    body = {"requiredResourceAccess": [{"resourceAppId": application_id("exchange"), "resourceAccess": asked}]}
    world.graph("PATCH", f"/applications/{application['id']}", body)
    world.lab.control(
        "POST", f"/applications/{application['id']}/delegated", {"resource": "exchange", "scopes": ["SMTP.Send"]}
    )
    consent_missing(world)


def imap_off(world: World) -> None:
    world.lab.control("PATCH", f"/mailboxes/{BOX}", {"imap_enabled": False})


def scope_too_wide(world: World) -> None:
    world.cmdlet("Set-ManagementScope", Identity="Postroom", RecipientRestrictionFilter="Alias -ne 'x'")


def mailbox_gone(world: World) -> None:
    world.lab.control("DELETE", f"/mailboxes/{BOX}")


FAULTS: list[tuple[Callable[[World], None], str, str, bool]] = [
    # what is planted, finding, wanted state, whether the proof from outside shows it too
    (wrong_object_id, "wrong-object-id", ONE_WAY, True),
    (consent_missing, "consent-missing", ONE_WAY, True),
    (permission_missing, "permission-missing", ONE_WAY, False),
    (full_access_missing, "full-access-missing", ONE_WAY, True),
    (send_as_missing, "send-as-missing", ONE_WAY, False),
    (smtp_off_for_the_mailbox, "smtp-auth-off-mailbox", ONE_WAY, True),
    (smtp_off_for_the_tenant, "smtp-auth-off-tenant", ONE_WAY, True),
    (secret_expired, "secret-expired", ONE_WAY, True),
    (certificate_not_uploaded, "certificate-not-uploaded", CERTIFICATE, True),
    (licence_missing, "licence-missing", USER, True),
    (principal_disabled, "principal-disabled", ONE_WAY, True),
    (unscoped_graph_role, "unscoped-graph-role", WITH_GRAPH, False),
    (delegated_permission, "delegated-permission", ONE_WAY, True),
    (imap_off, "imap-off", ONE_WAY, True),
    (scope_too_wide, "scope-differs", WITH_GRAPH, False),
    (mailbox_gone, "mailbox-missing", ONE_WAY, True),
]


@pytest.mark.parametrize(("plant", "finding", "wanted", "shows"), FAULTS, ids=[one[0].__name__ for one in FAULTS])
def test_fault_is_named_and_mended(
    world: World, plant: Callable[[World], None], finding: str, wanted: str, shows: bool
) -> None:
    outcome = world.apply(wanted)
    assert outcome.passed, outcome.steps
    plant(world)
    world.forget_tokens()

    verified = world.verify(wanted)
    assert not verified.passed
    assert finding in {one.id for one in verified.findings}
    assert all(one.passed for one in verified.proofs) is not shows, verified.to_data()["proofs"]

    planned = world.findings(wanted)
    assert planned[finding], planned
    outcome = world.apply(wanted)
    assert outcome.passed, outcome.steps
    assert planned[finding] in {one["key"] for one in outcome.steps}

    assert world.show(wanted).plan.nothing_to_do
    world.forget_tokens()
    mended = world.verify(wanted)
    assert mended.passed, mended.to_data()
