"""The forms of apps and listeners: labels, help and shape only; the services judge."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from postroom.accounts.app_rules import AppData
from postroom.bridge.values import TLS_VERSIONS, ListenerData, Mode, Prompts
from postroom.mailboxes import service as mailboxes

_CODE = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off"}
_MODES = {
    Mode.STARTTLS: "STARTTLS: most programs, usually port 587",
    Mode.TLS: "TLS from the first byte: usually port 465",
    Mode.PLAIN: "No TLS: for named networks only",
}
_PROMPTS = {
    Prompts.COMMON: "Username: and Password: (most devices)",
    Prompts.DRAFT: "User Name and Password (old draft)",
}


class Lines(forms.CharField):
    """Several values, one a line; commas separate too."""

    def __init__(self, label: str, help_text: str) -> None:
        widget = forms.Textarea({**_CODE, "rows": 2, "class": "mono"})
        super().__init__(label=label, help_text=help_text, required=False, widget=widget)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        return tuple(word for word in re.split(r"[\s,;]+", super().clean(value)) if word)


def _text(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(label=label, required=False, help_text=help_text, widget=forms.TextInput(_CODE))


def _number(label: str, help_text: str = "", *, required: bool = True) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=required, min_value=0, help_text=help_text)


def _tick(label: str, help_text: str = "") -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, help_text=help_text)


def _mailboxes() -> list[tuple[str, str]]:
    return [(str(row.id), f"{row.name} ({row.address})") for row in mailboxes.list_mailboxes()]


class AppForm(forms.Form):
    """One app credential."""

    use_required_attribute = False

    name = _text("Name", "What the program signs in with: letters, digits and . _ @ + -")
    mailboxes = forms.MultipleChoiceField(
        label="Mailboxes it may use", required=False, choices=_mailboxes, widget=forms.CheckboxSelectMultiple
    )
    all_mailboxes = _tick("All mailboxes, also those added later")
    senders = Lines("From addresses", "One a line; *@contoso.com for a domain. Empty: the addresses of its mailboxes.")
    networks = Lines("Networks it may come from", "One a line, such as 10.1.2.0/24. Empty: any.")
    messages_per_minute = _number("Messages a minute", "Empty: as many as the mailbox can.", required=False)
    enabled = _tick("It may sign in")

    @staticmethod
    def initial_of(data: AppData) -> dict[str, Any]:
        return {
            "name": data.name,
            "mailboxes": [str(one) for one in data.mailboxes or ()],
            "all_mailboxes": data.mailboxes is None,
            "senders": data.senders,
            "networks": data.networks,
            "messages_per_minute": data.messages_per_minute,
            "enabled": data.enabled,
        }

    def as_data(self) -> AppData:
        said = self.cleaned_data
        ids = None if said["all_mailboxes"] else tuple(int(one) for one in said["mailboxes"])
        return AppData(
            said["name"], ids, said["senders"], said["networks"], said["messages_per_minute"], said["enabled"]
        )


class ListenerForm(forms.Form):
    """One port. The names are those of `ListenerData`."""

    use_required_attribute = False

    name = _text("Name", "For you: printers, applications ...")
    address = _text("Address", "127.0.0.1 for this machine only, 0.0.0.0 or :: for all its interfaces.")
    port = _number("Port")
    mode = forms.ChoiceField(label="Protection", choices=[(mode.value, text) for mode, text in _MODES.items()])
    networks = Lines("Networks that may connect", "One a line, such as 10.1.2.0/24. Empty: any, if there is TLS.")
    enabled = _tick("Open")
    hostname = _text("Its name", "What programs connect to, and what the certificate is for. Empty: this machine's.")
    certificate = _text("Certificate file", "PEM with the chain, on this machine. Empty: one is made here.")
    key = _text("Key file", "Empty: in the certificate's file.")
    proxies = Lines("Proxies", "Those from which a PROXY header is believed.")
    message_size = _number("Largest message in bytes")
    recipients = _number("Recipients of a message")
    connections = _number("Connections at once")
    connections_each = _number("Connections from one address")
    tls_minimum = forms.ChoiceField(label="Oldest TLS", choices=[(one, f"TLS {one}") for one in TLS_VERSIONS])
    open_networks = Lines("Networks that need not sign in", "Devices that cannot. Whoever is there can send.")
    open_mailbox = forms.ChoiceField(
        label="Mailbox of those", required=False, choices=lambda: [("", "choose one"), *_mailboxes()]
    )
    open_senders = Lines("From addresses of those", "Empty: the addresses of that mailbox.")
    login_prompts = forms.ChoiceField(
        label="AUTH LOGIN asks for", choices=[(one.value, text) for one, text in _PROMPTS.items()]
    )
    fill_in_to = _tick("Messages without To get one", "It names all recipients to each other.")
    mend_names = _tick("An @ in display names becomes “at”", "For devices whose mail is refused for it.")
    longest_line = _number("Longest line in bytes", "998 by the standard.")

    def as_data(self) -> ListenerData:
        said = dict(self.cleaned_data)
        said["open_mailbox"] = int(said["open_mailbox"]) if said["open_mailbox"] else None
        return ListenerData(**said)
