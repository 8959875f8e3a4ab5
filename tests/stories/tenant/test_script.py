"""The exported script, run by an interpreter of its own over InvokeCommand, leaves the same state as apply."""

from __future__ import annotations

import asyncio
from typing import Any

from postroom.mailboxes.models import Mailbox
from postroom.tenant import export, importing, seeing, signin
from postroom.tenant.calls import Change, Cmdlet

from .conftest import BY, PERSON, TEN_LINES, World
from .powershell import Interpreter

WANTED = (
    TEN_LINES.replace("Post room", "Poststelle \N{EN DASH} Müller's")
    + f"""\
    members: [{PERSON}]
    send_as: [adele@contoso.example]
    send_on_behalf: [adele@contoso.example]
  - adele@contoso.example
"""
)


def run_script(world: World, text: str) -> list[str]:
    """Runs it as the administrator; returns the cmdlets that were called."""
    admin = signin.administrator("lab", "contoso.example")
    application = world.application()

    def run(name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        changed = {
            key: Change("add", (value["Add"],)) if isinstance(value, dict) else value
            for key, value in parameters.items()
        }

        async def once() -> list[dict[str, Any]]:
            async with seeing.connected(admin, lambda _: None) as sight:
                return await sight.exchange.run(Cmdlet(name, changed))

        return asyncio.run(once())

    interpreter = Interpreter(
        run, ClientId=application["app_id"], ServicePrincipalId=application["service_principal_id"]
    )
    *_, said = interpreter.run_script(text)
    assert said == {"client_id": application["app_id"], "service_principal_id": application["service_principal_id"]}
    return interpreter.ran


def exchange_state(world: World) -> dict[str, Any]:
    """Everything that Exchange holds, with the ids of this application by name."""
    application = world.application()
    ids = {application["app_id"]: "client", application["service_principal_id"]: "principal"}

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return sorted((named(one) for one in value), key=str)
        if isinstance(value, dict):
            skipped = {"user_id", "size", "folders", "quota"}
            return {key: named(one) for key, one in value.items() if key not in skipped}
        return ids.get(value, value)

    return {
        "mailboxes": named(world.lab.control("GET", "/mailboxes")),
        "principals": named(world.lab.control("GET", "/exchange/principals")),
        "scopes": named(world.cmdlet("Get-ManagementScope")),
        "assignments": named(world.cmdlet("Get-ManagementRoleAssignment")),
    }


def test_script_leaves_the_same_state_as_apply(world: World) -> None:
    outcome = world.apply(WANTED)
    assert outcome.passed, outcome.steps
    applied = exchange_state(world)

    world.afresh()
    setup = world.setup(WANTED)
    text = export.script(setup)
    assert text.isascii()
    register(world)
    ran = run_script(world, text)
    assert {"New-Mailbox", "New-ServicePrincipal", "New-ManagementScope"} <= set(ran)
    assert exchange_state(world) == applied
    assert len(applied["scopes"]) == len(applied["assignments"]) == 1

    again = run_script(world, text)
    assert not {"New-Mailbox", "New-ServicePrincipal", "New-ManagementScope"} & set(again)
    assert exchange_state(world) == applied


def register(world: World) -> None:
    """What the checklist says, done in the portal."""
    created = world.lab.control(
        "POST",
        "/applications",
        {
            "name": "Postroom",
            "roles": {"exchange": ["SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"]},
        },
    )
    world.lab.control(
        "POST",
        f"/applications/{created['id']}/permissions",
        {"resource": "exchange", "roles": ["SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"]},
    )


def test_somebody_else_has_the_rights(world: World) -> None:
    """Script and checklist out, ids and secret back: a working mailbox, proved, and nothing left to do."""
    setup = world.setup()
    assert "**Application permissions**" in export.checklist(setup)
    assert "postroom@contoso.example" in export.state(setup)
    register(world)
    run_script(world, export.script(setup))
    application = world.application()
    secret = application["secrets"][0]["value"]
    answer = (
        f"tenant: {world.lab.tenant_id}\nclient_id: {application['app_id']}\n"
        f"application_object_id: {application['id']}\n"
        f"service_principal_id: {application['service_principal_id']}\n"
        f"secret: {secret}\nsecret_expires: 2099-01-01\n"
    )
    done = importing.take(setup, answer, BY)
    assert done.secret
    assert secret not in repr(done)
    assert Mailbox.objects.count() == 1
    proved = world.verify()
    assert proved.passed, proved.to_data()
    plan = world.show().plan
    assert plan.nothing_to_do, plan.to_data()
