"""The composition: what Postroom is made of, top to bottom. Read this first.

    operate                    running it: serve, demo, lab, migrate, keys, backup, metrics
    console, api, cli          the shells: pages, REST, commands; the rooms hang their doors into them
    bridge                     the ports for programs: SMTP submission
    outbox                     accept, keep, pace, send, record
    tenant                     the Azure side: plan, apply, verify, export, rotate, remove
    mailboxes                  configurations, providers, credentials, proof
    accounts                   people, roles, audit log
    transports                 SMTP and Graph out; IMAP, POP3 and Graph in
    microsoft, mail, core      Microsoft's facts; what a message is; settings, encryption, clock

A room is a folder with the same files in each: `models.py` tables, `rules.py` decisions, `service.py` verbs,
`pages.py`, `commands.py` and `endpoints.py` doors. docs/architecture.md says which may use which.
"""

from __future__ import annotations

# The rooms that own tables or pages, lowest first: Django's applications.
ROOMS = (
    "postroom.accounts",
    "postroom.mailboxes",
    "postroom.outbox",
    "postroom.bridge",
    "postroom.tenant",
    "postroom.console",
)

# Where each room's doors hang: url prefix -> the room's pages.
PAGES = (
    ("", "postroom.console.pages"),
    ("", "postroom.operate.pages"),
    ("account/", "postroom.accounts.pages"),
    ("mailboxes/", "postroom.mailboxes.pages"),
    ("outbox/", "postroom.outbox.pages"),
    ("programs/", "postroom.bridge.pages"),
    ("tenant/", "postroom.tenant.pages"),
)

# The command line: a room's `commands.py` offers `app`, hung in under its name; "" hangs its commands at the root.
COMMANDS = (
    ("send", "postroom.mailboxes.send_command"),
    ("inbox", "postroom.mailboxes.inbox_command"),
    ("outbox", "postroom.outbox.commands"),
    ("mailbox", "postroom.mailboxes.commands"),
    ("provider", "postroom.mailboxes.provider_commands"),
    ("credential", "postroom.mailboxes.credential_commands"),
    ("tenant", "postroom.tenant.commands"),
    ("app", "postroom.bridge.app_commands"),
    ("listener", "postroom.bridge.commands"),
    ("person", "postroom.accounts.commands"),
    ("", "postroom.operate.commands"),
    ("", "postroom.operate.keeping_commands"),
)
