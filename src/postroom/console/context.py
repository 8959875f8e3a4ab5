"""What every page needs around its content: navigation, theme, version."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from postroom import __version__
from postroom.accounts.models import Person
from postroom.accounts.rules import VERBS, may
from postroom.console.navigation import entries_for, present

THEMES = ("light", "dark")


def shell(request: HttpRequest) -> dict[str, Any]:
    """Touches no table itself, so that error pages can use it when the database is down."""
    theme = request.COOKIES.get("theme", "")
    context: dict[str, Any] = {
        "version": __version__,
        "theme": theme if theme in THEMES else "",
        "request_id": getattr(request, "request_id", ""),
    }
    person = getattr(request, "user", None)
    if isinstance(person, Person):
        entries = entries_for(person.role)
        context |= {
            "navigation": entries,
            "present_entry": present(request.path, entries),
            # {% if may.mailbox_change %}: templates cannot name a verb with a dot in it.
            "may": {verb.replace(".", "_"): may(person.role, verb) for verb in VERBS},
        }
    return context
