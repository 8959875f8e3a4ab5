"""Taking away what a set-up made, and nothing else: the ledger says what that is.

A shared mailbox holds mail, so it stays unless it is asked for by name of the option; what only changed a switch is
put back as it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.mailboxes import service as mailboxes
from postroom.tenant import setups
from postroom.tenant.calls import Change, Cmdlet, GraphCall
from postroom.tenant.deeds import Patience
from postroom.tenant.keeping import Keeper
from postroom.tenant.local import Errands
from postroom.tenant.models import Made, MadeKind, Setup
from postroom.tenant.observed import Observed
from postroom.tenant.plan_exchange import FULL_ACCESS
from postroom.tenant.progress import Progress
from postroom.tenant.rights import Right, lacking
from postroom.tenant.seeing import admin_of, carry_out, connected, working
from postroom.tenant.service import Outcome
from postroom.tenant.steps import Plan, Step, assemble
from postroom.tenant.wanted_file import write

_GOES_WITH_APPLICATION = frozenset(
    {MadeKind.PRINCIPAL, MadeKind.CONSENT, MadeKind.SECRET, MadeKind.CERTIFICATE, MadeKind.FEDERATED}
)
"""Entra deletes these when the application is deleted."""
_ORDER = [
    MadeKind.SCOPED_ROLE,
    MadeKind.SCOPE,
    MadeKind.MAILBOX_RIGHT,
    MadeKind.SEND_AS,
    MadeKind.SEND_ON_BEHALF,
    MadeKind.SWITCH,
    MadeKind.EXCHANGE_PRINCIPAL,
]
"""What builds on a thing goes before it; all others after these."""
_AFTER: dict[str, tuple[str, ...]] = {
    MadeKind.APPLICATION: ("*",),
    MadeKind.SCOPE: ("remove:scoped-role:",),
    MadeKind.EXCHANGE_PRINCIPAL: ("remove:scoped-role:", "remove:mailbox-right:", "remove:send-as:"),
    MadeKind.MAILBOX: ("remove:mailbox-right:", "remove:send-as:", "remove:send-on-behalf:", "remove:switch:"),
}
_DIRECTORY = (Right.WRITE_APPLICATIONS,)
_EXCHANGE = (Right.EXCHANGE,)


@dataclass(frozen=True, slots=True)
class Leaving:
    """What would go, and what would stay although it was made here."""

    going: tuple[str, ...]
    staying: tuple[str, ...]


def preview(setup: Setup, *, with_mailboxes: bool = False) -> Leaving:
    """In words, without asking Microsoft."""
    rows = _rows(setup)
    stays = [row for row in rows if row.kind == MadeKind.MAILBOX and not with_mailboxes]
    goes = [row for row in rows if row not in stays]
    return Leaving(tuple(map(_in_words, goes)), tuple(map(_in_words, stays)))


def remove(
    setup: Setup,
    by: Actor,
    *,
    with_mailboxes: bool = False,
    listen: Callable[[Progress], None] = lambda _: None,
    patience: Patience | None = None,
) -> Outcome:
    """Takes it away; may be repeated. Raises `Fault` when nobody is signed in or rights lack, `Refused`."""
    admin, wanted, local = admin_of(setup), setups.wanted_of(setup), setups.local_state(setup)
    keeper, rows = Keeper(setup, by), _rows(setup)
    trips: dict[str, int] = {}

    async def work(errands: Errands[Progress]) -> None:
        async with connected(admin, lambda _: None) as sight:
            observed = await sight.observe(wanted, local)
            plan = removal(setup, rows, observed, with_mailboxes=with_mailboxes)
            lacks = lacking(plan.needs, await admin.holdings(sight.web))
            if lacks:
                raise Fault("nothing was removed, as rights lack: " + "; ".join(one.sentence for one in lacks))
            await errands.ask(lambda: keeper.begin(setups.keep_plan(setup, plan), plan))
            await carry_out(sight, plan, keeper, errands, patience or Patience())
            trips.update(total=sight.trips.total, dependent=sight.trips.dependent)

    try:
        working(work, listen)
    finally:
        keeper.close()
    run = keeper.finish(trips)
    done = {step["key"] for step in run.steps if step["state"] == "done"}
    _settle(setup, rows, done, by)
    audit.record(by, "tenant.removed", setup.name, {"steps": sorted(done), "passed": run.passed})
    return Outcome(setup.name, run.plan.hash, bool(run.passed), run.steps, run.trips)


def removal(setup: Setup, rows: Sequence[Made], observed: Observed, *, with_mailboxes: bool) -> Plan:
    """The plan that undoes the ledger."""
    own = any(row.kind == MadeKind.APPLICATION for row in rows)
    steps = [
        step
        for row in rows
        if not (own and row.kind in _GOES_WITH_APPLICATION) and (with_mailboxes or row.kind != MadeKind.MAILBOX)
        if (step := _step(row, observed)) is not None
    ]
    return assemble(write(setups.wanted_of(setup)), setup.tenant_id, steps, ())


def _rows(setup: Setup) -> list[Made]:
    """The ledger, in the order in which it is undone."""
    rank = {kind: number for number, kind in enumerate(_ORDER)} | {MadeKind.APPLICATION: len(MadeKind)}
    rows = Made.objects.filter(setup=setup, gone_at=None).order_by("-id")
    return sorted(rows, key=lambda row: rank.get(MadeKind(row.kind), len(_ORDER)))


def _step(row: Made, observed: Observed) -> Step | None:
    """The step that undoes one entry; None where there is nothing at Microsoft to undo."""
    calls = tuple(_calls(row, observed))
    if not calls:
        return None
    needs = _EXCHANGE if isinstance(calls[0], Cmdlet) else _DIRECTORY
    if row.kind == MadeKind.LICENCE:
        needs = (Right.ASSIGN_LICENCES,)
    if row.kind == MadeKind.CONSENT:
        needs = (Right.GRANT_GRAPH_ROLES,)
    depends = _AFTER.get(row.kind, ())
    key = f"remove:{row.kind}:{row.remote_id}"
    return Step(key, f"Remove: {_in_words(row)}", "This set-up made it.", calls, needs, depends)


def _calls(row: Made, observed: Observed) -> Iterator[GraphCall | Cmdlet]:
    name, detail = row.remote_id, row.detail
    match row.kind:
        case MadeKind.APPLICATION:
            yield GraphCall("DELETE", f"/applications/{name}")
        case MadeKind.PRINCIPAL:
            yield GraphCall("DELETE", f"/servicePrincipals/{name}")
        case MadeKind.SECRET:
            yield GraphCall("POST", "/applications/{application_id}/removePassword", {"keyId": name})
        case MadeKind.CONSENT:
            yield from _consent(detail, observed)
        case MadeKind.FEDERATED:
            trusted = observed.application.federated if observed.application else ()
            for one in trusted:
                if one.name == name:
                    yield GraphCall("DELETE", f"/applications/{{application_id}}/federatedIdentityCredentials/{one.id}")
        case MadeKind.LICENCE:
            body = {"addLicenses": [], "removeLicenses": [detail["sku"]]}
            yield GraphCall("POST", f"/users/{detail['user']}/assignLicense", body)
        case _:
            yield from _cmdlets(row)


def _consent(detail: dict[str, Any], observed: Observed) -> Iterator[GraphCall]:
    for one in observed.principal.granted if observed.principal else ():
        if (one.resource_id, one.role_id) == (detail["resource"], detail["role"]):
            yield GraphCall("DELETE", f"/servicePrincipals/{one.resource_id}/appRoleAssignedTo/{one.id}")


def _cmdlets(row: Made) -> Iterator[Cmdlet]:
    name, detail = row.remote_id, row.detail
    identity = {"Identity": detail.get("mailbox", name)}
    sure = {"Confirm": False}
    match row.kind:
        case MadeKind.EXCHANGE_PRINCIPAL:
            yield Cmdlet("Remove-ServicePrincipal", identity | sure)
        case MadeKind.MAILBOX:
            yield Cmdlet("Remove-Mailbox", identity | sure)
        case MadeKind.MAILBOX_RIGHT:
            rights = {"User": detail["trustee"], "AccessRights": FULL_ACCESS, "InheritanceType": "All"}
            yield Cmdlet("Remove-MailboxPermission", identity | rights | sure)
        case MadeKind.SEND_AS:
            rights = {"Trustee": detail["trustee"], "AccessRights": ["SendAs"]}
            yield Cmdlet("Remove-RecipientPermission", identity | rights | sure)
        case MadeKind.SEND_ON_BEHALF:
            yield Cmdlet("Set-Mailbox", identity | {"GrantSendOnBehalfTo": Change("remove", (detail["trustee"],))})
        case MadeKind.SWITCH if detail.get("before"):
            yield Cmdlet("Set-CASMailbox", identity | detail["before"])
        case MadeKind.SCOPED_ROLE:
            yield Cmdlet("Remove-ManagementRoleAssignment", identity | sure)
        case MadeKind.SCOPE:
            yield Cmdlet("Remove-ManagementScope", identity | sure)


def _settle(setup: Setup, rows: Sequence[Made], done: set[str], by: Actor) -> None:
    """Marks as gone what was undone, or had nothing to undo; then the configurations and ids."""
    application_gone = any(key.startswith("remove:application:") for key in done)
    for row in rows:
        undone = f"remove:{row.kind}:{row.remote_id}" in done
        with_it = application_gone and row.kind in _GOES_WITH_APPLICATION
        if row.kind == MadeKind.CONFIGURATION:
            box = setups.configuration_of(setup, row.remote_id)
            if box is not None:
                mailboxes.delete(box.pk, by)
            undone = True
        if undone or with_it or row.kind == MadeKind.SWITCH:
            row.gone_at = now()
            row.save(update_fields=["gone_at"])
    if application_gone:
        setup.client_id = setup.application_id = setup.service_principal_id = ""
        setup.save()


def _in_words(row: Made) -> str:
    return f"{row.get_kind_display()} {row.remote_id}"
