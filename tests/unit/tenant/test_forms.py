"""The wizard's first page: what it shows of a wanted state is what it gives back, and faults stand at their fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.http import QueryDict

from postroom.core.faults import Invalid
from postroom.tenant.forms import AnswerForm, WholeForm
from postroom.tenant.wanted import (
    CredentialKind,
    ReadBy,
    Restriction,
    SendBy,
    Wanted,
    WantedCredential,
    WantedMailbox,
)
from postroom.tenant.wanted_file import read, write

from .states import WANTED

CLOUDS = [("global", "Global"), ("china", "China")]


def sent(wanted: Wanted, **changes: str | list[str]) -> QueryDict:
    """What a browser sends of the form that shows this wanted state."""
    form = WholeForm(None, wanted, CLOUDS, is_new=True)
    data = QueryDict(mutable=True)
    for inner in (form.head, *form.boxes.values()):
        for field in inner:
            value: Any = field.value()
            data.setlist(field.html_name, [str(one) for one in (value if isinstance(value, tuple) else [value])])
    data.setlist("box", [str(number) for number in form.boxes])
    for name, value in changes.items():
        data.setlist(name.replace("__", "-"), [value] if isinstance(value, str) else value)
    return data


@pytest.mark.parametrize(
    "wanted",
    [
        WANTED,
        replace(WANTED, send=(), read=(ReadBy.GRAPH,), restrict_graph=Restriction.NONE, cloud="china"),
        replace(WANTED, send=(SendBy.SMTP, SendBy.GRAPH), read=(), restrict_smtp=Restriction.SCOPE, name="Other"),
        replace(WANTED, credential=WantedCredential(CredentialKind.CERTIFICATE, days=30)),
        replace(
            WANTED,
            credential=WantedCredential(
                CredentialKind.FEDERATED, issuer="https://issuer.example", subject="me", token_file="/run/token"
            ),
            mailboxes=(*WANTED.mailboxes, WantedMailbox("user@contoso.example", licence="SKU")),
        ),
    ],
)
def test_what_is_shown_is_what_comes_back(wanted: Wanted) -> None:
    form = WholeForm(sent(wanted), wanted, CLOUDS, is_new=True)
    assert form.is_valid(), (form.head.errors, [box.errors for box in form.boxes.values()])
    assert read(write(form.as_wanted())) == wanted


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"tenant": "not a tenant"}, "tenant", "write a GUID"),
        ({"days": "many"}, "days", "whole number"),
        ({"send": [], "read": []}, "send", "both none"),
        ({"kind": "federated"}, "kind", "needs issuer"),
        ({"box0__address": "nobody"}, "box0-address", "not an address"),
        ({"box0__members": "megan@contoso.example\nnobody"}, "box0-members", "not an address"),
        ({"box0__name": "x" * 65}, "box0-name", "longer than 64"),
    ],
)
def test_a_fault_stands_at_its_field(changes: dict[str, str | list[str]], place: str, said: str) -> None:
    form = WholeForm(sent(WANTED, **changes), WANTED, CLOUDS, is_new=True)
    assert form.is_valid()
    with pytest.raises(Invalid) as caught:
        read(write(form.as_wanted()))
    form.show_faults(caught.value)
    inner, name = (form.boxes[0], place.removeprefix("box0-")) if place.startswith("box0-") else (form.head, place)
    (sentence,) = inner.errors[name]
    assert said in sentence
    assert "line" not in sentence  # of a file that nobody sees


def test_what_was_pasted_is_never_shown_again() -> None:
    form = AnswerForm({"text": "secret: planted-secret", "secret": "planted-too", "client_id": "not-an-id"})
    assert form.is_valid()
    assert form.as_answer() == "secret: planted-secret"
    assert "planted" not in str(form)
    assert "not-an-id" in str(form)


def test_a_refused_block_is_shown_at_its_fields_without_the_secret() -> None:
    block = (
        "tenant: 0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a001  # Directory (tenant) ID\nclient_id: planted-in-the-wrong-place\n"
        '"service_principal_id": "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a004",\nsecret: planted\nsecret_expires: 2027-05-31\n'
    )
    form = AnswerForm({"text": block})
    assert form.is_valid()
    form.spread()
    shown = {field.name: field.value() for field in form if field.name != "text"}
    assert shown == {
        "tenant": "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a001",
        "client_id": "",
        "application_object_id": "",
        "service_principal_id": "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a004",
        "secret": "",
        "secret_expires": "2027-05-31",
    }
    assert "planted" not in str(form)
