"""How the commands speak while they work: plans, progress, stages. All but results goes to standard error."""

from __future__ import annotations

import time

from rich.markup import escape

from postroom.cli import output
from postroom.mailboxes.stages import TITLES, Stage
from postroom.tenant.device import Code
from postroom.tenant.progress import Progress
from postroom.tenant.service import Shown
from postroom.tenant.steps import Finding, Weight
from postroom.tenant.verify import Verification

_SIGNS = {"done": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[dim]-[/]", "waiting": "[yellow]…[/]"}
_WEIGHTS = {Weight.BLOCKS: "[red]blocks[/]", Weight.WRONG: "[red]wrong[/]", Weight.WARNING: "[yellow]note[/]"}


def tell_code(code: Code, service: str) -> None:
    output.note(f"To sign in to {service}: open {code.address} and type {code.user_code}")


def tell_note(sentence: str) -> None:
    output.note(sentence)


def tell_plan(shown: Shown) -> None:
    """The plan for people: drift, steps with why and what they call, lacking rights, and the hash."""
    plan = shown.plan
    for finding in plan.findings:
        _tell_finding(finding)
    if plan.nothing_to_do:
        output.say("Nothing to do.")
        return
    for number, step in enumerate(plan.steps, 1):
        output.out.print(f"[bold]{number:2}. {escape(step.title)}[/]", soft_wrap=True)
        output.out.print(f"    [dim]{escape(step.why)}[/]", soft_wrap=True)
        for call in step.calls:
            output.out.print(f"    {escape(str(call))}", soft_wrap=True)
    for lack in shown.lacks:
        output.out.print(f"[red]lacks[/]  {escape(lack.sentence)}", soft_wrap=True)
    if not plan.blocked:
        output.say(f"Plan {plan.hash}. Do it: postroom tenant apply {plan.hash}")


def _tell_finding(finding: Finding) -> None:
    about = f" ({finding.about})" if finding.about else ""
    output.out.print(f"{_WEIGHTS[finding.weight]}  {escape(finding.fault + about)}", soft_wrap=True)
    output.out.print(f"       [dim]{'mended by this plan' if finding.mended_by else escape(finding.fix)}[/]")


class Teller:
    """Tells each step as it goes, with its time."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def progress(self, progress: Progress) -> None:
        began = self._began.setdefault(progress.key, time.monotonic())
        if progress.state == "running":
            return
        took = f"{time.monotonic() - began:5.1f} s" if progress.state in {"done", "failed"} else "       "
        detail = f": {progress.detail}" if progress.detail else ""
        output.err.print(f"{_SIGNS[progress.state]} {took}  {escape(progress.title + detail)}", soft_wrap=True)
        if progress.diagnosis and progress.diagnosis.fault.id != "unknown":
            output.err.print(f"            {escape(progress.diagnosis.cause)} {escape(progress.diagnosis.fix)}")


def tell_stage(way: str, stage: Stage) -> None:
    """Stages that came to an end."""
    if stage.state in {"passed", "failed"}:
        sign = _SIGNS["done" if stage.state == "passed" else "failed"]
        title = escape(f"{way}: {TITLES[stage.stage]}")
        output.err.print(f"{sign} {stage.seconds:5.1f} s  {title}  [dim]{escape(stage.detail)}[/]", soft_wrap=True)


def tell_verification(found: Verification) -> None:
    """Proofs, drift, scopes, and what the application can reach."""
    for proof in found.proofs:
        output.say(f"{proof.way}: {'passed' if proof.passed else 'failed'}")
    for finding in found.findings:
        _tell_finding(finding)
    for one in found.scopes:
        output.say(f"{one.role} on {one.mailbox}: {'in scope' if one.in_scope else 'not in scope'}")
    rows = [one.to_data() for one in found.reach]
    if rows:
        output.table(rows, ("role", "where", "needed", "advice"), "")
    if not found.looked:
        output.note("Nobody is signed in to the tenant, so only the outside was proved.")
    output.say(f"{found.setup}: {'passed' if found.passed else 'failed'}")
