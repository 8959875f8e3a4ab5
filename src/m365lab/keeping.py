"""Keeps a lab's state in a folder: one index in JSON, and each message as a file named after its contents.

Written when something changed, a moment later, and at the end. The index is replaced in one step, so that a lab that
is killed finds the state before or after, never half.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Self

import pydantic
from starlette.types import ASGIApp, Receive, Scope, Send

from m365lab.contoso import ReadyMade
from m365lab.directory import Directory
from m365lab.exchange import Exchange, Group, KnownPrincipal, Mailbox, ManagementScope, RoleScope
from m365lab.mailstore import Folder, Mailstore, Message, Removal
from m365lab.post import Gone, PostOffice
from m365lab.tenant import Tenant

INDEX = "state.json"
MESSAGES = "messages"
_PAUSE = 0.3
"""Seconds between a change and the write, which gathers the changes that follow."""


class KeptModel(pydantic.BaseModel):
    """Refuses fields that it does not know, so that a new one of the tenant is not lost in silence."""

    model_config = pydantic.ConfigDict(extra="forbid")


class KeptMessage(KeptModel):
    file: str
    received_at: float
    flags: set[str]
    uid: int
    id: str
    immutable_id: str
    is_draft: bool
    change: int
    added: int = 0
    categories: list[str] = []


class KeptFolder(KeptModel):
    name: str
    well_known: str
    id: str
    uid_validity: int
    uid_next: int
    messages: list[KeptMessage]


class KeptMailbox(KeptModel):
    address: str
    name: str
    user_id: str
    shared: bool
    aliases: list[str]
    full_access: set[str]
    send_as: set[str]
    send_on_behalf: set[str]
    smtp_auth_disabled: bool | None
    imap_enabled: bool
    pop_enabled: bool
    attributes: dict[str, str] = {}
    quota: int
    last_change: int
    removals: list[Removal]
    folders: list[KeptFolder]


class KeptGone(KeptModel):
    file: str
    sender: str
    recipients: list[str]
    at: float


class KeptReady(KeptModel):
    application_id: str
    secret_id: str
    mailbox: str


class Kept(KeptModel):
    """The index. `format` rises when a field changes its meaning."""

    format: int = 1
    signing_key: str
    directory: Directory
    mailboxes: list[KeptMailbox]
    principals: list[KnownPrincipal]
    scopes: list[RoleScope]
    management_scopes: list[ManagementScope] = []
    groups: list[Group] = []
    switches: dict[str, bool]
    """The organisation's settings."""
    gone: list[KeptGone]
    ready: KeptReady | None


class Unreadable(Exception):
    """The folder's state cannot be read; the message says what to do."""


def is_kept(folder: Path) -> bool:
    """True when the folder holds a lab's state."""
    return (folder / INDEX).exists()


def load(folder: Path) -> tuple[Tenant, ReadyMade | None, list[Gone]]:
    """The kept tenant, its ready-made application, and the mail that left it. Raises `Unreadable`."""
    try:
        kept = Kept.model_validate_json((folder / INDEX).read_bytes())
        exchange = Exchange({}, kept.principals, kept.scopes)
        exchange.management_scopes, exchange.groups = kept.management_scopes, kept.groups
        vars(exchange).update(kept.switches)
        tenant = Tenant(kept.directory, exchange)
        tenant.tokens.use_key(kept.signing_key)
        for mailbox in kept.mailboxes:
            tenant.exchange.mailboxes[mailbox.address] = _mailbox(folder / MESSAGES, mailbox)
        gone = [Gone(g.sender, tuple(g.recipients), (folder / MESSAGES / g.file).read_bytes(), g.at) for g in kept.gone]
        return tenant, _ready(tenant, kept.ready), gone
    except (OSError, ValueError, KeyError) as error:
        raise Unreadable(
            f"The lab's state in {folder} cannot be read ({error}); move the folder away to start afresh."
        ) from error


class Keeper:
    """Writes the state to a folder. A context manager around the running lab."""

    def __init__(self, folder: Path, tenant: Tenant, office: PostOffice, ready: ReadyMade | None) -> None:
        self._folder, self._tenant, self._office, self._ready = folder, tenant, office, ready
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Notes a change after each request that is not a GET."""

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"}:
                    self._changed.set()

        return noting

    async def __aenter__(self) -> Self:
        self._office.watchers.append(self._changed.set)
        self.save()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.save()

    def save(self) -> None:
        """Writes everything that is not yet on disk, and removes what no message needs any more."""
        self._watch()
        messages = self._folder / MESSAGES
        messages.mkdir(parents=True, exist_ok=True)
        needed: set[str] = set()

        def keep(raw: bytes) -> str:
            name = f"{hashlib.sha256(raw).hexdigest()}.eml"
            if name not in needed and not (messages / name).exists():
                _replace(messages / name, raw)
            needed.add(name)
            return name

        kept = _kept(self._tenant, self._office, self._ready, keep)
        _replace(self._folder / INDEX, kept.model_dump_json(indent=1).encode())
        for path in messages.iterdir():
            if path.name not in needed:
                path.unlink()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_PAUSE)
            self._changed.clear()
            self.save()

    def _watch(self) -> None:
        """Listens to every mailbox, new ones too."""
        for mailbox in self._tenant.exchange.mailboxes.values():
            if self._mail_changed not in mailbox.store.watchers:
                mailbox.store.watchers.append(self._mail_changed)

    def _mail_changed(self, _: Folder) -> None:
        self._changed.set()


def _kept(tenant: Tenant, office: PostOffice, ready: ReadyMade | None, keep: Callable[[bytes], str]) -> Kept:
    exchange = tenant.exchange
    return Kept(
        signing_key=tenant.tokens.private_key,
        directory=tenant.directory,
        mailboxes=[_kept_mailbox(mailbox, keep) for mailbox in exchange.mailboxes.values()],
        principals=exchange.principals,
        scopes=exchange.scopes,
        management_scopes=exchange.management_scopes,
        groups=exchange.groups,
        switches={name: value for name, value in vars(exchange).items() if isinstance(value, bool)},
        gone=[KeptGone(file=keep(g.raw), sender=g.sender, recipients=list(g.recipients), at=g.at) for g in office.gone],
        ready=KeptReady(application_id=ready.application.id, secret_id=ready.secret.key_id, mailbox=ready.mailbox)
        if ready
        else None,
    )


def _kept_mailbox(mailbox: Mailbox, keep: Callable[[bytes], str]) -> KeptMailbox:
    store = mailbox.store
    return KeptMailbox(
        **{name: value for name, value in vars(mailbox).items() if name != "store"},
        quota=store.quota,
        last_change=store.last_change,
        removals=store.removals,
        folders=[
            KeptFolder(
                **{name: value for name, value in vars(folder).items() if name != "messages"},
                messages=[
                    KeptMessage(file=keep(m.raw), **{k: v for k, v in asdict(m).items() if k != "raw"})
                    for m in folder.messages.values()
                ],
            )
            for folder in store.folders.values()
        ],
    )


def _mailbox(messages: Path, kept: KeptMailbox) -> Mailbox:
    store = Mailstore(kept.quota)
    store.folders = {folder.name: _folder(messages, folder) for folder in kept.folders}
    store.removals = list(kept.removals)
    store.last_change = kept.last_change
    values = kept.model_dump(exclude={"quota", "last_change", "removals", "folders"})
    return Mailbox(**values, store=store)


def _folder(messages: Path, kept: KeptFolder) -> Folder:
    folder = Folder(**kept.model_dump(exclude={"messages"}))
    for message in kept.messages:
        raw = (messages / message.file).read_bytes()
        folder.messages[message.uid] = Message(raw=raw, **message.model_dump(exclude={"file"}))
    return folder


def _ready(tenant: Tenant, kept: KeptReady | None) -> ReadyMade | None:
    """The ready-made application, unless somebody deleted it or its secret."""
    application = tenant.directory.applications.get(kept.application_id) if kept else None
    if kept is None or application is None:
        return None
    principal = tenant.directory.principal_by_app_id(application.app_id)
    secret = next((s for s in application.secrets if s.key_id == kept.secret_id), None)
    return ReadyMade(application, principal, secret, kept.mailbox) if principal and secret else None


def _replace(path: Path, contents: bytes) -> None:
    """Writes a file that only its owner may read, in one step."""
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(contents)
    fresh.replace(path)
