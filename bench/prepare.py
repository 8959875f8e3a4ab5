"""Sets a Postroom up for a measurement: mailboxes at the sink, a listener, an app credential.

    python -m bench.prepare '{"lab": {...}, "smtp_port": 2587, ...}'

In a process of its own, with `POSTROOM_HOME` (and `DATABASE_URL`) in its environment; prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postroom.cli.starting import start

CLOUD = "bench"
RECIPIENT = "someone@example.org"


@dataclass(frozen=True)
class Order:
    lab: dict[str, Any]
    """What the lab says of itself."""
    smtp_port: int
    """Of the server that takes the mail: the sink, or the lab itself."""
    addresses: list[str]
    """One mailbox for each."""
    messages_per_minute: int = 10_000_000
    connections: int = 20
    listener_port: int = 0
    """0: none."""


def write_cloud(home: Path, order: Order) -> None:
    """docs/settings.md: the lab as one more cloud, its SMTP host replaced."""
    values = {name: value for name, value in order.lab["cloud"].items() if name != "name"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in (values | {"smtp_port": order.smtp_port}).items()]
    (home / "clouds").mkdir(parents=True, exist_ok=True)
    (home / "clouds" / f"{CLOUD}.toml").write_text("\n".join([f"[{CLOUD}]", *lines, ""]))


def main(order: Order) -> dict[str, Any]:
    from postroom.core.settings import settings

    write_cloud(settings().home, order)
    start()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    ids = _mailboxes(order)
    said: dict[str, Any] = {"mailboxes": ids}
    if order.listener_port:
        said |= _door(order, ids)
    return said


def _mailboxes(order: Order) -> list[int]:
    """The first as a person would add it, the others copied from it row by row."""
    from postroom.accounts.audit import SYSTEM
    from postroom.mailboxes import credentials, service
    from postroom.mailboxes.models import Mailbox
    from postroom.mailboxes.values import MailboxData

    application = order.lab["application"]
    first = service.save(
        MailboxData(
            name="mailbox 0",
            address=order.addresses[0],
            cloud=CLOUD,
            tenant=order.lab["tenant_id"],
            client_id=application["client_id"],
            service_principal_id=application["service_principal_id"],
            messages_per_minute=order.messages_per_minute,
            recipients_per_day=10_000_000,
            connections=order.connections,
        ),
        SYSTEM,
    )
    credentials.add(credentials.owner_of(first), "secret", application["client_secret"], None, SYSTEM)
    first = Mailbox.objects.get(pk=first.pk)
    shared = {
        field.attname: getattr(first, field.attname)
        for field in Mailbox._meta.concrete_fields
        if field.attname not in {"id", "name", "address", "is_default"}
    }
    Mailbox.objects.bulk_create(
        Mailbox(name=f"mailbox {number}", address=address, **shared)
        for number, address in enumerate(order.addresses[1:], 1)
    )
    return list(Mailbox.objects.order_by("id").values_list("id", flat=True))


def _door(order: Order, ids: list[int]) -> dict[str, Any]:
    """One plain port on loopback: without sign-in it sends by the first mailbox; with one, by any."""
    from postroom.accounts import app_credentials
    from postroom.accounts.app_rules import AppData
    from postroom.accounts.audit import SYSTEM
    from postroom.bridge import service
    from postroom.bridge.values import ListenerData

    service.save(
        ListenerData(
            "bench",
            port=order.listener_port,
            mode="plain",
            networks=("127.0.0.0/8",),
            open_networks=("127.0.0.0/8",),
            open_mailbox=ids[0],
        ),
        SYSTEM,
    )
    app, secret = app_credentials.add(AppData("bench", None), SYSTEM)
    return {"name": app.name, "secret": secret}


if __name__ == "__main__":
    print(json.dumps(main(Order(**json.loads(sys.argv[1])))))
