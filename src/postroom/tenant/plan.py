"""The plan: from what is wanted and what is there to the steps between. Pure: the same input, the same plan.

`plan_directory.py`, `plan_credential.py` and `plan_exchange.py` each know one part; this module puts them in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from postroom.tenant import plan_credential, plan_directory, plan_exchange
from postroom.tenant.observed import Observed
from postroom.tenant.steps import Finding, Plan, Step, Weight, assemble
from postroom.tenant.wanted import ReadBy, Wanted, WantedMailbox
from postroom.tenant.wanted_file import write

READ_BY = {ReadBy.IMAP: "imap", ReadBy.POP: "pop3", ReadBy.GRAPH: "graph"}
"""As mailbox configurations call it."""


def plan(wanted: Wanted, observed: Observed, now: datetime) -> Plan:
    """What to do, in order, and what is not as wanted. `now` decides which credentials have expired."""
    parts: list[Step | Finding] = [
        *plan_directory.plan(wanted, observed),
        *plan_credential.plan(wanted, observed, now),
        *plan_exchange.plan(wanted, observed),
        *_configurations(wanted, observed),
    ]
    new = observed.application is None
    steps = [_without_findings(part) if new else part for part in parts if isinstance(part, Step)]
    findings = [part for part in parts if isinstance(part, Finding)]
    return assemble(write(wanted), observed.tenant_id, steps, sorted(findings, key=_by_weight))


def send_by(wanted: Wanted) -> str:
    """How the mailbox configuration sends: the first way that is wanted."""
    return wanted.send[0].value if wanted.send else "none"


def read_by(wanted: Wanted) -> str:
    """How the mailbox configuration reads: the first way that is wanted."""
    return READ_BY[wanted.read[0]] if wanted.read else "none"


def _configurations(wanted: Wanted, observed: Observed) -> Iterator[Step]:
    for mailbox in wanted.mailboxes:
        if findings := tuple(_configuration_faults(wanted, observed, mailbox)):
            yield Step(
                key=f"configuration:{mailbox.address}",
                title=f"Save the mailbox configuration of {mailbox.address}",
                why="Postroom sends and reads by its own record of the mailbox, the application and the credential.",
                depends_on=("*",),
                findings=findings,
            )


def _configuration_faults(wanted: Wanted, observed: Observed, mailbox: WantedMailbox) -> Iterable[Finding]:
    fix = f"Save the mailbox {mailbox.address} with the ids of this set-up."
    now = observed.configured.get(mailbox.address)
    if now is None:
        yield Finding("configuration-missing", mailbox.address, "Postroom has no configuration of the mailbox", fix)
        return
    principal_id = observed.principal.id if observed.principal else ""
    differs = [
        name
        for name, is_now, should_be in (
            ("client id", now.client_id, observed.client_id),
            ("Enterprise application object id", now.service_principal_id, principal_id),
            ("way to send", now.send_by, send_by(wanted)),
            ("way to read", now.read_by, read_by(wanted)),
        )
        if is_now != should_be
    ]
    if differs:
        fault = f"the mailbox configuration has another {', '.join(differs)}"
        yield Finding("configuration-differs", mailbox.address, fault, fix)


def _without_findings(step: Step) -> Step:
    """Where there is nothing yet, nothing has drifted."""
    return Step(step.key, step.title, step.why, step.calls, step.needs, step.depends_on)


def _by_weight(finding: Finding) -> int:
    return list(Weight).index(finding.weight)
