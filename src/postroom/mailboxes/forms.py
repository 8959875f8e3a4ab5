"""The forms of mailboxes, providers and credentials: labels, help and shape only.

What is allowed is judged by the services, so that console, command line and API refuse the same things in the same
words; `show_faults` puts their sentences beside the fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from django import forms

from postroom.core.faults import Fault, Invalid
from postroom.mailboxes.choices import CredentialKind, ReadBy, SecurityChoice, SendBy, SignInBy
from postroom.mailboxes.properties import without_passwords
from postroom.mailboxes.values import ConnectionData, MailboxData, ProviderData

if TYPE_CHECKING:
    from postroom.mailboxes.models import Provider

_CODE = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off"}
_OVERVIEW = "Azure portal, App registrations, your application, Overview"


def _text(label: str, help_text: str = "", **attrs: Any) -> forms.CharField:
    """Blanks stay, because the services name them where they do harm."""
    widget = forms.TextInput({**_CODE, **attrs})
    return forms.CharField(label=label, required=False, strip=False, help_text=help_text, widget=widget)


def _number(label: str, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, help_text=help_text, min_value=0)


def _choice(label: str, choices: Iterable[tuple[str, Any]], help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=list(choices), required=False, help_text=help_text)


def _tick(label: str, help_text: str = "") -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, help_text=help_text)


class ConnectionForm(forms.Form):
    """How it connects; shared by providers and mailboxes."""

    use_required_attribute = False

    send_by = _choice("Sends by", SendBy.choices)
    smtp_host = _text("SMTP host")
    smtp_port = _number("SMTP port")
    smtp_security = _choice("SMTP security", SecurityChoice.choices, "STARTTLS goes with port 587, TLS with port 465.")
    read_by = _choice("Reads by", ReadBy.choices)
    incoming_host = _text("IMAP or POP3 host")
    incoming_port = _number("IMAP or POP3 port")
    incoming_security = _choice("IMAP or POP3 security", SecurityChoice.choices, "TLS goes with 993 and 995.")
    sign_in_by = _choice("Signs in by", SignInBy.choices)
    messages_per_minute = _number("Messages a minute")
    recipients_per_day = _number("Recipients a day")
    connections = _number("Connections at once")
    message_size = _number("Largest message in bytes")

    def connection_values(self) -> dict[str, Any]:
        """The fields of `ConnectionData`, as far as this form has them."""
        names = [field.name for field in dataclass_fields(ConnectionData)]
        return {name: self.cleaned_data[name] for name in names if name in self.fields}


class ProviderForm(ConnectionForm):
    name = _text("Name")
    description = forms.CharField(
        label="Description", required=False, widget=forms.Textarea({"rows": 2}), help_text="What it is for."
    )
    user_name = _text("User name", "For services where everybody signs in under one name (SendGrid: apikey).")
    uses_cloud = _tick("Hosts come from the Microsoft cloud of the application", "Then hosts and ports may stay empty.")
    can_read = _tick("Mailboxes of this provider can be read", "Off for services that only send.")

    optional_fields = frozenset({"description", "user_name"})

    def as_data(self) -> ProviderData:
        own = ("name", "description", "user_name", "uses_cloud", "can_read")
        return ProviderData(**self.connection_values(), **{name: self.cleaned_data[name] for name in own})


class MailboxForm(ConnectionForm):
    """One mailbox; fields that its provider has no use for are taken out."""

    name = _text("Name", "How you and your applications call it.", placeholder="Sales")
    address = _text(
        "Address", "The mailbox that is signed in to; for a shared mailbox its own address.", inputmode="email"
    )
    display_name = _text("Display name", "Shown to recipients before the address.")

    tenant = _text("Directory (tenant) ID", f"A GUID, or a verified domain. {_OVERVIEW}.")
    client_id = _text("Application (client) ID", f"{_OVERVIEW}.", **{"class": "mono"})
    service_principal_id = _text(
        "Object ID of the Enterprise application",
        "Azure portal, Enterprise applications, your application, Overview, Object ID. Exchange wants this one.",
        **{"class": "mono"},
    )
    object_id = _text(
        "Object ID of the App registration",
        f"{_OVERVIEW}, Object ID. Used for nothing but to notice when it stands where the other one belongs.",
        **{"class": "mono"},
    )
    cloud = _choice("Cloud", (), "Global unless your tenant is in a national cloud.")

    read_inbox = _tick("Read the inbox", "Off: the mailbox only sends, and its inbox is never looked at.")
    folder = _text("Folder", "The folder that is read; INBOX unless rules sort mail elsewhere.")

    default_sender = _text("Default sender", "From address of mail that names none; the mailbox's own when empty.")
    subject_prefix = _text("Subject prefix", 'Put before every subject, for example "[Test] ".')
    copies_to = forms.CharField(
        label="Blind copies of all mail",
        required=False,
        help_text="One address a line. Each gets a blind copy (Bcc) of everything that is sent.",
        widget=forms.Textarea({"rows": 2, **_CODE}),
    )
    save_to_sent = _tick("Keep a copy in Sent Items", "A choice with Graph only: over SMTP, Exchange always keeps one.")

    user_name = _text("User name", "The address when empty.")
    proxy = _text(
        "Proxy",
        "http://host:port or socks5://host:port; the general one (POSTROOM_PROXY) when empty.",
    )
    enabled = _tick("Switched on", "Off: nothing is sent or read; it can still be tested.")

    optional_fields = frozenset(
        {"display_name", "object_id", "default_sender", "subject_prefix", "copies_to", "user_name", "proxy"}
    )

    def __init__(self, *args: Any, provider: Provider, clouds: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in _without_use(provider):
            del self.fields[name]
        if isinstance(cloud := self.fields.get("cloud"), forms.ChoiceField):
            cloud.choices = list(clouds)
        self.provider = provider
        for name in ("smtp_host", "smtp_port", "incoming_host", "incoming_port", *_LIMITS):
            if name in self.fields:
                preset = getattr(provider, name) or ("the cloud's" if provider.uses_cloud else "")
                self.fields[name].widget.attrs["placeholder"] = str(preset)

    def as_data(self) -> MailboxData:
        own = {name: value for name, value in self.cleaned_data.items() if name in _MAILBOX_FIELDS}
        copies = tuple(filter(None, re.split(r"[\s,;]+", own.pop("copies_to", ""))))
        return MailboxData(**own, copies_to=copies, provider=self.provider.slug)


_LIMITS = ("messages_per_minute", "recipients_per_day", "connections", "message_size")
_MAILBOX_FIELDS = frozenset(field.name for field in dataclass_fields(MailboxData))
_APPLICATION = ("tenant", "client_id", "service_principal_id", "object_id", "cloud")
_READING = ("read_inbox", "folder", "read_by", "incoming_host", "incoming_port", "incoming_security")


def _without_use(provider: Provider) -> list[str]:
    """What a mailbox of this provider never needs."""
    names: list[str] = []
    if not provider.can_read:
        names += _READING
    if provider.uses_cloud:
        names += ["sign_in_by", "user_name"]
    elif provider.slug not in _OAUTH_ELSEWHERE and provider.sign_in_by == SignInBy.PASSWORD:
        names += [*_APPLICATION, "sign_in_by", "save_to_sent"]
    if provider.user_name:
        names.append("user_name")
    return list(dict.fromkeys(names))


_OAUTH_ELSEWHERE = frozenset({"other", "migrated"})
"""Presets for any server: how it signs in is the person's choice."""


def initial_of(data: MailboxData) -> dict[str, Any]:
    """A mailbox as the form shows it."""
    values = {field.name: getattr(data, field.name) for field in dataclass_fields(data)}
    return values | {"copies_to": "\n".join(data.copies_to)}


class SecretForm(forms.Form):
    """A client secret: its value goes in and never comes out."""

    use_required_attribute = False
    optional_fields = frozenset({"expires_at"})
    kind = CredentialKind.SECRET
    value = forms.CharField(
        label="Value of the secret",
        required=False,
        strip=False,
        help_text="The column Value, not Secret ID. Azure shows it once, right after the secret was made.",
        widget=forms.PasswordInput({"autocomplete": "off", **_CODE}),
    )
    expires_at = forms.DateField(
        label="Expires on",
        required=False,
        help_text="The column Expires. You are warned 30 days before.",
        widget=forms.DateInput({"type": "date"}),
    )


class PasswordForm(forms.Form):
    use_required_attribute = False
    optional_fields: frozenset[str] = frozenset()
    kind = CredentialKind.PASSWORD
    value = forms.CharField(
        label="Password",
        required=False,
        strip=False,
        help_text="Of the mailbox; for Google an app password, for SendGrid and Brevo a key.",
        widget=forms.PasswordInput({"autocomplete": "off"}),
    )


class FederatedForm(forms.Form):
    use_required_attribute = False
    kind = CredentialKind.FEDERATED_FILE
    value = _text(
        "Token file", "Whole path; it is read anew for each token.", placeholder="/var/run/secrets/tokens/azure"
    )


class ManagedIdentityForm(forms.Form):
    use_required_attribute = False
    kind = CredentialKind.MANAGED_IDENTITY
    value = _text("Client ID of the identity", "Empty for the system-assigned identity of the machine.")
    optional_fields = frozenset({"value"})


class UploadForm(forms.Form):
    use_required_attribute = False
    certificate = forms.FileField(
        label="Certificate with private key", help_text="PEM or PFX (PKCS #12).", required=False
    )
    password = forms.CharField(
        label="Password of the file",
        required=False,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "off"}),
    )
    optional_fields = frozenset({"password"})


class GenerateForm(forms.Form):
    use_required_attribute = False
    days = forms.IntegerField(label="Valid for days", initial=365, min_value=1, max_value=730)


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files (Django's "Uploading multiple files")."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        chosen = data if isinstance(data, list | tuple) else [data]
        return [super(FilesField, self).clean(one, initial) for one in chosen if one]


class MailForm(forms.Form):
    use_required_attribute = False
    to = _text("To", "One or more addresses, separated by commas.", inputmode="email")
    cc = _text("Cc", inputmode="email")
    bcc = _text("Bcc", inputmode="email")
    subject = forms.CharField(label="Subject", required=False)
    text = forms.CharField(label="Text", required=False, strip=False, widget=forms.Textarea({"rows": 9}))
    attachments = FilesField(label="Attachments", required=False)
    optional_fields = frozenset({"cc", "bcc", "attachments"})


class TestForm(forms.Form):
    use_required_attribute = False
    optional_fields: frozenset[str] = frozenset()
    recipient = _text("Send the test mail to", inputmode="email")


class CopyForm(forms.Form):
    use_required_attribute = False
    name = _text("Name of the copy")


class PropertiesInput(forms.Textarea):
    """Comes back after a mistake without its passwords: no page shows one."""

    def format_value(self, value: Any) -> str | None:
        shown: str | None = super().format_value(value)
        return without_passwords(shown) if shown else shown


class ImportForm(forms.Form):
    use_required_attribute = False
    text = forms.CharField(
        label="Properties",
        required=False,
        help_text="Lines such as mail.host=…, mail.port=…, as they stand in the gateway's properties file. "
        "After a mistake, passwords have to be typed again.",
        widget=PropertiesInput({"rows": 14, "class": "mono", **_CODE}),
    )


def show_faults(form: forms.Form, fault: Fault) -> None:
    """A service's faults, each beside its field; those of fields that are not shown stand above the form."""
    errors = fault.errors if isinstance(fault, Invalid) else {"": [f"{fault}. {fault.fix}".strip()]}
    for name, sentences in errors.items():
        if name in form.fields:
            form.add_error(name, sentences)
        else:
            label = name.replace("_", " ").capitalize()
            form.add_error(None, [f"{label} {sentence}".strip() for sentence in sentences])


def end_of_day(form: forms.Form, name: str) -> datetime | None:
    """A date field as the moment at which Azure means it: the end of that day in UTC."""
    day = form.cleaned_data.get(name)
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC) if day else None
