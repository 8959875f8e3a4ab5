"""What every page of one set-up shows around its content: how it does, the steps of the wizard, what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postroom.tenant import wizard
from postroom.tenant.models import Setup
from postroom.tenant.wizard import Standing


@dataclass(frozen=True, slots=True)
class Stop:
    """One step of the wizard."""

    title: str
    view: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Next:
    """What the person does next."""

    title: str
    view: str


PAGE_OF = {
    "look": "tenant:plan",
    "apply": "tenant:progress",
    "verify": "tenant:proof",
    "rotate": "tenant:rotate",
    "remove": "tenant:remove",
}
"""Where each verb is watched."""


def around(setup: Setup, view: str) -> dict[str, Any]:
    """The context of `tenant/one.html`. Calls nobody."""
    standing = wizard.stand(setup)
    return {
        "setup": setup,
        "standing": standing,
        "health": wizard.health(standing),
        "stops": list(stops(standing, view)),
        "view": view,
        "next": next_of(standing),
    }


def stops(standing: Standing, view: str) -> Iterator[Stop]:
    """The way by one's own rights; or by a colleague's, for whoever went there."""
    made = standing.applied or standing.imported
    yield Stop("Describe", "tenant:edit", is_done=True)
    if view == "tenant:hand-over" or (standing.imported and standing.signed_in is None):
        yield Stop("Hand over", "tenant:hand-over", is_done=made)
    else:
        yield Stop("Sign in", "tenant:sign-in", is_done=standing.signed_in is not None)
        yield Stop("Plan", "tenant:plan", is_done=standing.plan is not None)
        yield Stop("Apply", "tenant:progress", is_done=standing.applied and not standing.to_do)
    yield Stop("Prove", "tenant:proof", is_done=made and standing.proved)


def next_of(standing: Standing) -> Next | None:
    """None when all is done."""
    if standing.running is not None:
        return Next("Watch it", PAGE_OF[standing.running.verb])
    if standing.applied and standing.to_do:
        return Next("Mend what has drifted", "tenant:plan")
    if standing.applied or standing.imported:
        return None if standing.proved else Next("Prove that it works", "tenant:proof")
    if standing.signed_in is None:
        return Next("Sign in to the tenant", "tenant:sign-in")
    if standing.apply_job is not None and standing.apply_job.passed is False:
        return Next("Go on where it stopped", "tenant:progress")
    return Next("Look at the plan", "tenant:plan")
