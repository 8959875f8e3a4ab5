"""The proof from the outside: sign in, send and read back as real mail does, in every way that is wanted; the tenant
looked at once more; scopes tested by Exchange itself; and what the application can reach against what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.mailboxes import connect, proofs
from postroom.mailboxes import service as mailboxes
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.proof import Patience, prove
from postroom.mailboxes.stages import Stage, passed
from postroom.tenant import setups
from postroom.tenant.calls import Cmdlet
from postroom.tenant.local import Errands
from postroom.tenant.looking import switch
from postroom.tenant.models import Setup
from postroom.tenant.needs import scoped_roles
from postroom.tenant.observed import Observed
from postroom.tenant.plan import READ_BY, plan
from postroom.tenant.privileges import Reach, report
from postroom.tenant.seeing import admin_of, connected, signed_in_to, working
from postroom.tenant.steps import Finding, Weight
from postroom.tenant.wanted import Wanted

Watch = Callable[[str, Stage], None]
"""Told which way is proved (`address: smtp, imap`), and each stage as it changes."""


@dataclass(frozen=True, slots=True)
class WayProof:
    """One mailbox, proved in one pair of ways."""

    mailbox: str
    send_by: str
    read_by: str
    passed: bool
    stages: list[dict[str, Any]]

    @property
    def way(self) -> str:
        return f"{self.mailbox}: {self.send_by}, {self.read_by}"


@dataclass(frozen=True, slots=True)
class ScopeTest:
    """What Test-ServicePrincipalAuthorization says of one role on one mailbox."""

    mailbox: str
    role: str
    in_scope: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """All that was found. `looked` is False when nobody was signed in, so that the tenant itself was not looked at."""

    setup: str
    looked: bool
    findings: tuple[Finding, ...]
    proofs: tuple[WayProof, ...]
    scopes: tuple[ScopeTest, ...]
    reach: tuple[Reach, ...]

    @property
    def passed(self) -> bool:
        well = all(one.passed for one in self.proofs) and all(one.in_scope for one in self.scopes)
        return well and all(one.weight is Weight.WARNING for one in self.findings)

    def to_data(self) -> dict[str, Any]:
        return {
            "setup": self.setup,
            "passed": self.passed,
            "looked_at_tenant": self.looked,
            "drift": [one.to_data() for one in self.findings],
            "proofs": [
                {
                    "mailbox": one.mailbox,
                    "send_by": one.send_by,
                    "read_by": one.read_by,
                    "passed": one.passed,
                    "stages": one.stages,
                }
                for one in self.proofs
            ],
            "scopes": [{"mailbox": one.mailbox, "role": one.role, "in_scope": one.in_scope} for one in self.scopes],
            "reach": [one.to_data() for one in self.reach],
        }


def verify(
    setup: Setup,
    recipient: str,
    by: Actor,
    *,
    watch: Watch = lambda _way, _stage: None,
    patience: Patience | None = None,
) -> Verification:
    """`recipient` gets the test messages; with "" each mailbox itself. Raises `Refused` when the tenant cannot be
    looked at."""
    wanted = setups.wanted_of(setup)
    looked = bool(signed_in_to(setup))
    observed, scopes = _look(setup, wanted) if looked else (None, ())
    found = Verification(
        setup=setup.name,
        looked=looked,
        findings=plan(wanted, observed, now()).findings if observed else (),
        proofs=tuple(_prove_all(setup, wanted, recipient, by, watch, patience or Patience())),
        scopes=scopes,
        reach=report(wanted, observed) if observed else (),
    )
    audit.record(by, "tenant.verified", setup.name, {"passed": found.passed, "looked": looked})
    return found


def _look(setup: Setup, wanted: Wanted) -> tuple[Observed, tuple[ScopeTest, ...]]:
    admin, local = admin_of(setup), setups.local_state(setup)
    seen: list[tuple[Observed, tuple[ScopeTest, ...]]] = []

    async def look(errands: Errands[None]) -> None:
        del errands
        async with connected(admin, lambda _: None) as sight:
            observed = await sight.observe(wanted, replace(local, tenant_id=await sight.tenant_id()))
            tests: list[ScopeTest] = []
            if observed.principal and observed.exchange_principals and scoped_roles(wanted):
                for mailbox in wanted.mailboxes:
                    cmdlet = Cmdlet(
                        "Test-ServicePrincipalAuthorization",
                        {"Identity": observed.principal.id, "Resource": mailbox.address},
                    )
                    tests += _tests(wanted, mailbox.address, await sight.exchange.find(cmdlet))
            seen.append((observed, tuple(tests)))

    working(look, lambda _: None)
    return seen[0]


def _tests(wanted: Wanted, address: str, rows: list[dict[str, Any]]) -> Iterator[ScopeTest]:
    """Of the roles that are wanted; one that Exchange does not name is not in scope."""
    in_scope = {str(row.get("RoleName")).removeprefix("Application ") for row in rows if switch(row.get("InScope"))}
    for role in scoped_roles(wanted):
        yield ScopeTest(address, role, role in in_scope)


def _prove_all(
    setup: Setup, wanted: Wanted, recipient: str, by: Actor, watch: Watch, patience: Patience
) -> Iterator[WayProof]:
    """Each mailbox as it is configured, which is kept as its proof; then every further way that is wanted."""
    for one in wanted.mailboxes:
        row = setups.configuration_of(setup, one.address)
        if row is None:
            yield WayProof(one.address, "none", "none", False, [])
            continue
        first = None
        for send_by, read_by in _ways(wanted):
            to = recipient or one.address
            if first is None:
                first = (send_by, read_by)
                yield _as_configured(row, to, by, watch, patience)
            else:
                yield _in_another_way(row, send_by, read_by, to, watch, patience)


def _ways(wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Pairs of sending and reading in which every wanted way comes up; the configured pair first."""
    sending = [one.value for one in wanted.send] or ["none"]
    reading = [READ_BY[one] for one in wanted.read] or ["none"]
    for number in range(max(len(sending), len(reading))):
        yield sending[min(number, len(sending) - 1)], reading[min(number, len(reading) - 1)]


def _as_configured(row: Mailbox, to: str, by: Actor, watch: Watch, patience: Patience) -> WayProof:
    whole = mailboxes.effective(row)
    way = f"{row.address}: {whole.send_by}, {whole.read_by}"
    proof = proofs.run(row.pk, to, by, patience=patience, watch=lambda stage: watch(way, stage))
    return WayProof(row.address, whole.send_by, whole.read_by, bool(proof.passed), proof.stages)


def _in_another_way(row: Mailbox, send_by: str, read_by: str, to: str, watch: Watch, patience: Patience) -> WayProof:
    data = replace(mailboxes.data_of(row), send_by=send_by, read_by=read_by, read_inbox=read_by != "none")
    way = f"{row.address}: {send_by}, {read_by}"
    try:
        prepared = replace(connect.ready(row), whole=mailboxes.effective_of(data))
    except Fault as fault:
        stage = Stage("resolve", "failed", str(fault))
        return WayProof(row.address, send_by, read_by, False, [stage.to_json()])
    stages: dict[str, Stage] = {}

    async def walk(errands: Errands[Stage]) -> None:
        async for stage in prove(prepared, to, patience):
            errands.tell(stage)

    def keep(stage: Stage) -> None:
        stages[stage.stage] = stage
        watch(way, stage)

    working(walk, keep)  # whoever watches may write to the tables, which no event loop allows
    return WayProof(row.address, send_by, read_by, passed(stages), [one.to_json() for one in stages.values()])
