"""The forms of set-ups: labels, help and shape. What may be wanted is judged where the wanted state is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from postroom.core.faults import Fault, Invalid
from postroom.tenant.wanted import (
    CredentialKind,
    ReadBy,
    Restriction,
    SendBy,
    Wanted,
    WantedCredential,
    WantedMailbox,
)

_CODE = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off"}
_PEOPLE = ("members", "send_as", "send_on_behalf", "also_from")
MOST_MAILBOXES = 50
"""On the page; a file may list more."""


def _text(label: str, help_text: str = "", **attrs: Any) -> forms.CharField:
    return forms.CharField(label=label, required=False, help_text=help_text, widget=forms.TextInput({**_CODE, **attrs}))


def _lines(label: str, help_text: str) -> forms.CharField:
    widget = forms.Textarea({"rows": 2, **_CODE})
    return forms.CharField(label=label, required=False, help_text=help_text, widget=widget)


def _ticks(label: str, choices: Iterable[tuple[str, str]], help_text: str = "") -> forms.MultipleChoiceField:
    widget = forms.CheckboxSelectMultiple
    return forms.MultipleChoiceField(
        label=label, choices=list(choices), required=False, widget=widget, help_text=help_text
    )


def _one_of(label: str, choices: Iterable[tuple[str, str]], help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=list(choices), widget=forms.RadioSelect, help_text=help_text)


class WantedForm(forms.Form):
    """What is wanted, without the mailboxes."""

    use_required_attribute = False

    tenant = _text("Tenant", "Its id (a GUID), or a domain of it, such as contoso.onmicrosoft.com.")
    cloud = forms.ChoiceField(label="Cloud", help_text="Global unless the tenant is in a national cloud.")
    application = _text("Name of the application", "As it will stand in Entra ID.")
    client_id = _text(
        "Application (client) ID of an existing application",
        "Leave it empty to have one made. Nothing is taken away from an application that was there before.",
    )
    name = _text("Name of this set-up", "Here in Postroom; the application's when empty.")
    send = _ticks(
        "Applications send by",
        ((SendBy.SMTP, "SMTP, the usual way"), (SendBy.GRAPH, "Microsoft Graph, where SMTP is closed")),
        "None: the mailboxes are only read.",
    )
    read = _ticks(
        "Applications read by",
        ((ReadBy.IMAP, "IMAP"), (ReadBy.POP, "POP3"), (ReadBy.GRAPH, "Microsoft Graph")),
        "None: the mailboxes only send.",
    )
    kind = _one_of(
        "The application proves itself by",
        (
            (CredentialKind.SECRET, "a client secret"),
            (CredentialKind.CERTIFICATE, "a certificate, whose key is made here and never leaves"),
            (CredentialKind.FEDERATED, "tokens of another issuer (federated; no secret at all)"),
        ),
    )
    days = _text(
        "Valid for days", "1 to 730. You are warned 60, 30, 14, 7 and 1 days before the end.", inputmode="numeric"
    )
    issuer = _text("Issuer", "The claim iss of the other issuer's tokens, an https address.")
    subject = _text("Subject", "Their claim sub.")
    token_file = _text("Token file", "Where such a token lies on this machine; it is read anew each time.")
    restrict_smtp = _one_of(
        "SMTP is kept to the mailboxes by",
        (
            (Restriction.GRANT, "a right on each mailbox, which IMAP and POP3 need too"),
            (Restriction.SCOPE, "a scope in Exchange (RBAC for Applications)"),
        ),
    )
    restrict_graph = _one_of(
        "Graph is kept to the mailboxes by",
        (
            (Restriction.SCOPE, "a scope in Exchange (RBAC for Applications)"),
            (Restriction.NONE, "nothing: it reaches every mailbox of the organisation"),
        ),
    )
    optional_fields = frozenset({"client_id", "name"})

    def __init__(self, *args: Any, clouds: Iterable[tuple[str, str]], is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cloud = self.fields["cloud"]
        assert isinstance(cloud, forms.ChoiceField)  # noqa: S101 - declared above
        cloud.choices = list(clouds)
        if not is_new:
            for name in ("name", "tenant", "cloud"):
                self.fields[name].disabled = True
                self.fields[name].help_text = "Fixed: another one is another set-up."


class BoxForm(forms.Form):
    """One mailbox of the wanted state."""

    use_required_attribute = False

    address = _text("Address", inputmode="email", placeholder="notifications@contoso.com")
    name = _text("Display name", "Shown to recipients before the address.")
    shared = _one_of(
        "Kind of mailbox",
        (
            ("yes", "a shared mailbox, made if it is not there; needs no licence"),
            ("no", "the mailbox of a user, who exists"),
        ),
    )
    members = _lines("People who open it", "One address a line.")
    send_as = _lines("People who send as it", "One address a line.")
    send_on_behalf = _lines("People who send on behalf of it", "One address a line.")
    also_from = _lines("Other From addresses", "That applications may use when they send by this mailbox.")
    licence = _text("Licence", "Part number of the one to assign to a user who has none; empty takes any free one.")
    optional_fields = frozenset({"name", *_PEOPLE, "licence"})

    @property
    def has_more(self) -> bool:
        """Whether anything beyond the usual is filled in, so that it is not hidden."""
        return any(self[name].value() for name in (*_PEOPLE, "licence"))


class WholeForm:
    """The page of what is wanted: one `WantedForm`, and a `BoxForm` for each mailbox."""

    def __init__(
        self, data: Mapping[str, Any] | None, wanted: Wanted, clouds: Iterable[tuple[str, str]], *, is_new: bool
    ) -> None:
        self.head = WantedForm(data, initial=_initial(wanted), clouds=clouds, is_new=is_new)
        if data is None:
            numbers: list[int] = list(range(len(wanted.mailboxes)))
        else:
            numbers = [int(one) for one in _listed(data, "box") if one.isdigit()][:MOST_MAILBOXES]
            if data.get("drop", "").isdigit() and len(numbers) > 1:
                numbers = [one for one in numbers if one != int(data["drop"])]
            if "more" in data:
                numbers.append(max(numbers, default=-1) + 1)
        self.boxes = {
            number: BoxForm(
                data if data is not None and _is_filled(data, number) else None,
                prefix=f"box{number}",
                initial=_initial_box(wanted.mailboxes[number] if number < len(wanted.mailboxes) else _NEW),
            )
            for number in numbers
        }

    @property
    def errors(self) -> bool:
        return bool(self.head.errors) or any(box.errors for box in self.boxes.values())

    def is_valid(self) -> bool:
        return self.head.is_valid() and all(box.is_valid() for box in self.boxes.values())

    def as_wanted(self, name: str = "") -> Wanted:
        """As it was typed: `wanted_file.read` judges it."""
        data = self.head.cleaned_data
        kind = CredentialKind(data["kind"])
        federated = {key: data[key] for key in ("issuer", "subject", "token_file")}
        return Wanted(
            tenant=data["tenant"],
            name=name or data["name"],
            cloud=data["cloud"],
            application=data["application"],
            client_id=data["client_id"],
            credential=WantedCredential(
                kind,
                days=int(data["days"]) if data["days"].isdecimal() else data["days"],
                **(federated if kind is CredentialKind.FEDERATED else {}),
            ),
            send=tuple(SendBy(one) for one in data["send"]),
            read=tuple(ReadBy(one) for one in data["read"]),
            restrict_smtp=Restriction(data["restrict_smtp"]),
            restrict_graph=Restriction(data["restrict_graph"]),
            mailboxes=tuple(_box(form.cleaned_data) for form in self.boxes.values()),
        )

    def show_faults(self, fault: Fault) -> None:
        """The reader's faults, each beside its field, without the lines of a file that nobody sees."""
        errors = fault.errors if isinstance(fault, Invalid) else {"": [f"{fault}. {fault.fix}".strip()]}
        for path, sentences in errors.items():
            form, field = self._place(path)
            said = [re.sub(r"^line \d+: ", "", one) for one in sentences]
            if field is None:
                form.add_error(None, [f"{path} {one}".strip() for one in said])
            else:
                form.add_error(field, said)

    def _place(self, path: str) -> tuple[forms.Form, str | None]:
        if found := re.fullmatch(r"mailboxes\[(\d+)\]\.(\w+)", path):
            box = list(self.boxes.values())[int(found[1])]
            return box, found[2] if found[2] in box.fields else None
        field = path.replace("restrict.", "restrict_").removeprefix("credential.")
        field = {"credential": "kind"}.get(field, field)
        return self.head, field if field in self.head.fields else None


_NEW = WantedMailbox("", shared=True)


def _initial(wanted: Wanted) -> dict[str, Any]:
    names = ("tenant", "cloud", "application", "client_id", "name", "send", "read", "restrict_smtp", "restrict_graph")
    credential = {key: getattr(wanted.credential, key) for key in ("kind", "days", "issuer", "subject", "token_file")}
    return {name: getattr(wanted, name) for name in names} | credential


def _initial_box(mailbox: WantedMailbox) -> dict[str, Any]:
    people = {name: "\n".join(getattr(mailbox, name)) for name in _PEOPLE}
    own = {"address": mailbox.address, "name": mailbox.name, "licence": mailbox.licence}
    return own | {"shared": "yes" if mailbox.shared else "no"} | people


def _box(data: Mapping[str, Any]) -> WantedMailbox:
    people = {name: tuple(filter(None, re.split(r"[\s,;]+", data[name]))) for name in _PEOPLE}
    return WantedMailbox(
        data["address"], data["name"], shared=data["shared"] == "yes", licence=data["licence"], **people
    )


def _listed(data: Any, name: str) -> list[str]:
    return list(data.getlist(name)) if hasattr(data, "getlist") else list(data.get(name, ()))


def _is_filled(data: Mapping[str, Any], number: int) -> bool:
    """False for a mailbox that was added just now."""
    return f"box{number}-address" in data


class FileForm(forms.Form):
    """The wanted state as a file."""

    use_required_attribute = False
    text = forms.CharField(
        label="Wanted state",
        required=False,
        strip=False,
        help_text="YAML; tenant and mailboxes are enough, all else has a default.",
        widget=forms.Textarea({"rows": 18, "class": "mono", **_CODE}),
    )
    optional_fields: frozenset[str] = frozenset()


class AdministratorForm(forms.Form):
    """An administrator application's credential: it goes in, sealed, and never comes out."""

    use_required_attribute = False
    client_id = _text("Application (client) ID", **{"class": "mono"})
    secret = forms.CharField(
        label="Value of its secret",
        required=False,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "off", **_CODE}),
    )
    certificate = forms.FileField(
        label="Or its certificate with private key", required=False, help_text="PEM or PFX (PKCS #12)."
    )
    password = forms.CharField(
        label="Password of that file", required=False, strip=False, widget=forms.PasswordInput({"autocomplete": "off"})
    )
    optional_fields = frozenset({"certificate", "password", "secret"})


class _Pasted(forms.Textarea):
    """What was pasted may hold a secret: it is never shown again."""

    def format_value(self, value: Any) -> None:
        return None


class AnswerForm(forms.Form):
    """What a colleague sent back: as a block, or value by value. Fields are named as the keys of the block."""

    use_required_attribute = False
    text = forms.CharField(
        label="The block that your colleague sent back",
        required=False,
        strip=False,
        help_text="From the end of the checklist, filled in. The secret may follow later.",
        widget=_Pasted({"rows": 7, "class": "mono", **_CODE}),
    )
    tenant = _text("Directory (tenant) ID", **{"class": "mono"})
    client_id = _text("Application (client) ID", **{"class": "mono"})
    application_object_id = _text("Object ID of the App registration", **{"class": "mono"})
    service_principal_id = _text("Object ID of the Enterprise application", **{"class": "mono"})
    secret = forms.CharField(
        label="Value of the client secret",
        required=False,
        strip=False,
        help_text="The column Value, not Secret ID.",
        widget=forms.PasswordInput({"autocomplete": "off", **_CODE}),
    )
    secret_expires = forms.CharField(
        label="The secret expires on", required=False, widget=forms.DateInput({"type": "date"})
    )
    optional_fields = frozenset({"text", "secret", "secret_expires"})

    def as_answer(self) -> str:
        """The block, or one made of the single values."""
        given = dict(self.cleaned_data)
        return given.pop("text").strip() or json.dumps({key: value for key, value in given.items() if value})

    def spread(self) -> None:
        """Shows what the block says at its fields; of a value only what looks like an id or a day, as any other could
        be the secret."""
        if not self.cleaned_data["text"].strip():
            return
        data = {key: self.data.get(key, "") for key in self.fields}
        for key in ("tenant", "client_id", "application_object_id", "service_principal_id", "secret_expires"):
            found = re.search(rf"\b{key}\b\W*?([0-9a-fA-F-]{{36}}|\d{{4}}-\d\d-\d\d)\b", self.cleaned_data["text"])
            data[key] = found[1] if found else ""
        self.data = data


class ProofForm(forms.Form):
    use_required_attribute = False
    recipient = _text("Send the test mails to", "Empty: each mailbox sends to itself.", inputmode="email")
    optional_fields = frozenset({"recipient"})


class RotateForm(forms.Form):
    remove_now = forms.BooleanField(
        label="Take the old one away at once",
        required=False,
        help_text="Otherwise it stays for a day, for programs that use it without Postroom.",
    )


class RemoveForm(forms.Form):
    use_required_attribute = False
    with_mailboxes = forms.BooleanField(
        label="Shared mailboxes too, with all their mail", required=False, help_text="Otherwise they stay."
    )
    name = _text("Name of the set-up", "Type it, to be sure.")
    optional_fields: frozenset[str] = frozenset()
