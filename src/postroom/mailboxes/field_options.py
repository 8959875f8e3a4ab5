"""The options of `mailbox add` and `mailbox edit`: one for each field of a mailbox, declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import typer


@dataclass(frozen=True, slots=True)
class _Option:
    field: str
    flag: str
    help: str
    kind: Any = str


_OPTIONS = (
    _Option("address", "--address", "The mailbox that is signed in to; for a shared mailbox its own address."),
    _Option("provider", "--provider", "Slug of the provider; see `postroom provider list`."),
    _Option("display_name", "--display-name", "Name shown with the address in From."),
    _Option("default_sender", "--sender", "From address of mail that names none; the mailbox's own when empty."),
    _Option("subject_prefix", "--subject-prefix", 'Put before each subject, such as "[Test]".'),
    _Option("copies_to", "--bcc", "Gets a blind copy of all mail; may be repeated.", list[str]),
    _Option("send_by", "--send-by", "smtp, graph or none."),
    _Option("read_by", "--read-by", "imap, pop3, graph or none."),
    _Option("sign_in_by", "--sign-in-by", "oauth, password or none."),
    _Option("read_inbox", "--read/--no-read", "Whether the folder is read at all.", bool),
    _Option("folder", "--folder", "The folder that is read."),
    _Option("save_to_sent", "--save-sent/--no-save-sent", "Keep a copy in Sent Items, where that is a choice.", bool),
    _Option("user_name", "--user", "User name for a password; the address when empty."),
    _Option("cloud", "--cloud", "Microsoft cloud of the application: global, gcc-high, dod, china, or one of yours."),
    _Option("tenant", "--tenant", "Directory (tenant) ID, or a verified domain."),
    _Option("client_id", "--client-id", "Application (client) ID."),
    _Option("object_id", "--object-id", "Object ID of the App registration; only to recognise it elsewhere."),
    _Option("service_principal_id", "--service-principal-id", "Object ID of the Enterprise application."),
    _Option("smtp_host", "--smtp-host", "SMTP server; the provider's or the cloud's when empty."),
    _Option("smtp_port", "--smtp-port", "Its port.", int),
    _Option("smtp_security", "--smtp-security", "tls, starttls or none."),
    _Option("incoming_host", "--incoming-host", "IMAP or POP3 server; the provider's or the cloud's when empty."),
    _Option("incoming_port", "--incoming-port", "Its port.", int),
    _Option("incoming_security", "--incoming-security", "tls, starttls or none."),
    _Option("messages_per_minute", "--messages-per-minute", "Limit; the provider's when empty.", int),
    _Option("recipients_per_day", "--recipients-per-day", "Limit; the provider's when empty.", int),
    _Option("connections", "--connections", "Limit; the provider's when empty.", int),
    _Option("message_size", "--message-size", "Largest message in bytes; the provider's when empty.", int),
    _Option("proxy", "--proxy", "Egress proxy of this mailbox: http://, socks4:// or socks5:// host:port."),
)


def takes_fields(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command these options; what was set arrives as its keyword argument `fields`, by field name."""
    own = inspect.signature(command).parameters
    hints = get_type_hints(command, include_extras=True)
    parameters = [parameter.replace(annotation=hints[name]) for name, parameter in own.items() if name != "fields"]
    parameters += [
        inspect.Parameter(
            option.field,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[option.kind | None, typer.Option(option.flag, help=option.help, show_default=False)],
        )
        for option in _OPTIONS
    ]

    @functools.wraps(command)
    def with_fields(**values: Any) -> None:
        fields = {option.field: values.pop(option.field) for option in _OPTIONS}
        given = {name: value for name, value in fields.items() if value is not None and value != []}
        if "copies_to" in given:
            given["copies_to"] = tuple(given["copies_to"])
        command(**values, fields=given)

    with_fields.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_fields.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_fields
