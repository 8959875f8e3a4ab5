"""The checklist on a page: every value of the text has its place, and nothing of the text is lost."""

from __future__ import annotations

import re

import pytest

from postroom.tenant import export
from postroom.tenant.models import Setup
from postroom.tenant.sheet import answer_block, sentences
from postroom.tenant.wanted import CredentialKind, WantedCredential
from postroom.tenant.wanted_file import write

from .states import BOX, WANTED


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_every_value_can_be_copied(kind: CredentialKind) -> None:
    credential = WantedCredential(kind, issuer="https://issuer.example", subject="me", token_file="/token")
    wanted = write(
        type(WANTED)(**{name: getattr(WANTED, name) for name in WANTED.__slots__} | {"credential": credential})
    )
    text = export.checklist(Setup(name="Postroom", wanted=wanted, cloud="global", tenant="contoso.example"))
    parts = [part for sentence in sentences(text) for part in sentence]
    steps = text.partition("## Send back")[0].partition("\n\n1. ")[2]
    assert [part.text for part in parts if part.kind == "value"] == re.findall(r"`([^`]+)`", steps)
    assert BOX in {part.text for part in parts if part.kind == "value"}
    assert not any(mark in part.text for part in parts if part.kind == "text" for mark in ("`", "**", "]("))
    assert len(sentences(text)) == len(re.findall(r"^\d+\. \[ \]", text, re.MULTILINE))
    assert "client_id:" in answer_block(text)
    assert ("secret:" in answer_block(text)) is (kind is CredentialKind.SECRET)
