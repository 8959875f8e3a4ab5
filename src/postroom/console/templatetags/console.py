"""Template tags of the console: icons, and form fields with their help and errors where they belong."""

from __future__ import annotations

from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """One of our own drawings, beside a text that says the same: screen readers skip it."""
    return render_to_string(f"console/icons/{name}.svg")


@register.inclusion_tag("console/field.html")
def field(bound: BoundField, optional: bool = True) -> dict[str, Any]:
    """A field with label, control, help and errors. Django links control and texts by `aria-describedby`.

    Forms whose services judge say by `optional_fields` what may stay empty; of others, what is not required.
    """
    marked = getattr(bound.form, "optional_fields", None)
    return {
        "field": bound,
        "is_checkbox": isinstance(bound.field.widget, CheckboxInput),
        "mark_optional": optional and (not bound.field.required if marked is None else bound.name in marked),
    }


@register.filter
def filesize(size: int) -> str:
    """Bytes for people: 1.2 MB (powers of 1024, as mail systems count)."""
    if size < 1024:
        return f"{size} B"
    for unit in ("KB", "MB", "GB"):
        size_in_unit = size / 1024 ** ("KB", "MB", "GB").index(unit) / 1024
        if size_in_unit < 1024:
            return f"{size_in_unit:.1f} {unit}"
    return f"{size / 1024**4:.1f} TB"
