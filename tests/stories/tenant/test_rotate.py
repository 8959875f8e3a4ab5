"""A new credential beside the old, proved, switched to; the old one goes after a grace time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.mailboxes import credentials
from postroom.mailboxes.models import Application
from postroom.tenant import rotate
from postroom.tenant.models import Made

from .conftest import BY, IMPATIENT, TEN_LINES, World

ONE_WAY = TEN_LINES.replace("[imap, pop, graph]", "imap")


def secrets(world: World) -> list[str]:
    return [one["key_id"] for one in world.application()["secrets"]]


def hints() -> list[str]:
    return [view.hint for view in credentials.list_of(Application.objects.get())]


def a_day_passes() -> None:
    replaced = Made.objects.filter(replaced_at__isnull=False)
    replaced.update(replaced_at=now() - timedelta(hours=25))


def rotated(world: World, text: str = ONE_WAY, **options: Any) -> rotate.Rotated:
    return rotate.rotate(world.setup(text), BY, patience=IMPATIENT, sleep=lambda _: None, **options)


def test_secret(world: World) -> None:
    assert world.apply(ONE_WAY).passed
    (old,), (old_hint,) = secrets(world), hints()
    done = rotated(world)
    assert done.old == (old_hint,)
    assert done.remove_after is not None
    assert secrets(world)[0] == old
    assert len(secrets(world)) == 2
    assert hints() == [done.new, old_hint], "the new one is used first"
    assert world.show(ONE_WAY).plan.nothing_to_do, "within the grace time the old one stays"
    with pytest.raises(Fault, match="under way"):
        rotated(world)

    a_day_passes()
    plan = world.show(ONE_WAY).plan
    assert [step.key for step in plan.steps] == [f"credential-remove:{old}"]
    assert rotate.finish(world.setup(ONE_WAY), BY, patience=IMPATIENT) == (old,)
    assert old not in secrets(world)
    assert hints() == [done.new]
    assert world.show(ONE_WAY).plan.nothing_to_do
    world.forget_tokens()
    assert world.verify(ONE_WAY).passed


def test_remove_now(world: World) -> None:
    assert world.apply(ONE_WAY).passed
    (old,) = secrets(world)
    done = rotated(world, remove_now=True)
    assert done.removed == (old,)
    assert old not in secrets(world)
    assert hints() == [done.new]


def test_certificate(world: World) -> None:
    text = f"{ONE_WAY}credential: certificate\n"
    assert world.apply(text).passed
    (old,) = [one["thumbprint_sha1"] for one in world.application()["certificates"]]
    rotated(world, text)
    assert len(world.application()["certificates"]) == 2
    assert world.verify(text).passed
    a_day_passes()
    assert rotate.finish(world.setup(text), BY, patience=IMPATIENT) == (old,)
    assert old not in [one["thumbprint_sha1"] for one in world.application()["certificates"]]
    world.forget_tokens()
    assert world.verify(text).passed
    assert world.show(text).plan.nothing_to_do


def test_when_the_new_one_is_not_proved_the_old_one_stays_in_use(world: World) -> None:
    assert world.apply(ONE_WAY).passed
    (old_hint,) = hints()
    world.lab.control("PUT", "/faults/secret-expired", {})
    with pytest.raises(Exception, match="7000222"):
        rotated(world)
    world.lab.control("DELETE", "/faults")
    assert hints()[0] == old_hint


def test_expiring_is_told(world: World) -> None:
    assert world.apply(f"{ONE_WAY}credential: {{kind: secret, days: 13}}\n").passed
    (told,) = rotate.expiring()
    assert (told.setup, told.threshold) == ("Postroom", 14)
    shown = world.show(f"{ONE_WAY}credential: {{kind: secret, days: 13}}\n")
    assert [one.id for one in shown.plan.findings] == ["credential-expiring"]
