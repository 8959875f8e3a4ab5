"""docs/smtp-door.md names every field of a listener, and every reply code that stands in the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from postroom.bridge import replies
from postroom.bridge.values import ListenerData

PAGE = (Path(__file__).parents[3] / "docs" / "smtp-door.md").read_text()


def test_every_field_is_documented_with_its_default() -> None:
    for field in fields(ListenerData):
        if field.name != "name":
            assert f"`{field.name}`" in PAGE, field.name
    assert str(ListenerData("").message_size) in PAGE


def test_documented_replies_exist() -> None:
    said = Path(replies.__file__).read_text()
    for code in re.findall(r"^\| `(\d{3} \d\.\d\.\d)`", PAGE, re.MULTILINE):
        assert code in said, code
