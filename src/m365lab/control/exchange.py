"""Control of Exchange's half: mailboxes, rights, switches, service principals as Exchange knows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request

from m365lab.control.asking import Bad, Model, Table, body
from m365lab.directory import User, new_id
from m365lab.exchange import KnownPrincipal, Mailbox, RoleScope
from m365lab.licences import BUSINESS_BASIC
from m365lab.works import Works

RIGHTS = {"full-access": "full_access", "send-as": "send_as", "send-on-behalf": "send_on_behalf"}


class NewMailbox(Model):
    address: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    name: str = ""
    shared: bool = True


class MailboxChange(Model):
    name: str | None = None
    aliases: list[str] | None = None
    smtp_auth_disabled: bool | Literal["inherit"] | None = None
    """`inherit`: as the organisation has it."""
    imap_enabled: bool | None = None
    pop_enabled: bool | None = None
    quota: int | None = Field(None, ge=0)
    """Bytes that the mailbox may hold."""


class OrganisationChange(Model):
    smtp_auth_disabled: bool | None = None
    basic_auth_retired: bool | None = None
    """Passwords are answered as after the retirement of basic authentication."""


class NewPrincipal(Model):
    app_id: str
    object_id: str
    """Any id: Exchange does not check it, which is how the wrong one gets in."""
    name: str = ""


class NewScope(Model):
    name: str = Field(min_length=1)
    app_id: str
    role: str
    members: list[str] = []


def table(works: Works, routes: Table) -> None:
    """Adds the routes."""
    _mailboxes(works, routes)
    _rights(works, routes)
    _organisation(works, routes)
    _scopes(works, routes)


def mailbox_of(works: Works, request: Request) -> Mailbox:
    """The mailbox that the path names. Raises `Bad`."""
    found = works.tenant.exchange.mailbox(request.path_params["address"])
    if found is None:
        raise Bad(f"No mailbox {request.path_params['address']}: GET /lab/api/mailboxes lists them.", 404)
    return found


def view(mailbox: Mailbox) -> dict[str, Any]:
    """A mailbox without its messages."""
    return {
        "address": mailbox.address,
        "name": mailbox.name,
        "user_id": mailbox.user_id,
        "shared": mailbox.shared,
        "aliases": mailbox.aliases,
        "full_access": sorted(mailbox.full_access),
        "send_as": sorted(mailbox.send_as),
        "send_on_behalf": sorted(mailbox.send_on_behalf),
        "smtp_auth_disabled": mailbox.smtp_auth_disabled,
        "imap_enabled": mailbox.imap_enabled,
        "pop_enabled": mailbox.pop_enabled,
        "size": mailbox.store.size,
        "quota": mailbox.store.quota,
        "folders": {folder.name: len(folder.messages) for folder in mailbox.store.folders.values()},
    }


def _mailboxes(works: Works, routes: Table) -> None:
    directory, exchange = works.tenant.directory, works.tenant.exchange

    @routes.on("GET", "/mailboxes")
    async def list_mailboxes(_: Request) -> list[Any]:
        return [view(mailbox) for mailbox in exchange.mailboxes.values()]

    @routes.on("POST", "/mailboxes")
    async def create(request: Request) -> dict[str, Any]:
        asked = await body(request, NewMailbox)
        address = asked.address.lower()
        if exchange.mailbox(address):
            raise Bad(f"address: {address} exists already; choose another.", 409)
        if address.rsplit("@", 1)[-1] not in directory.domains:
            raise Bad(f"address: its domain is not of this tenant; use {' or '.join(directory.domains)}.")
        name = asked.name or address.partition("@")[0]
        licences = [] if asked.shared else [BUSINESS_BASIC.part_number]
        user = directory.user(address) or User(new_id(), address, name, enabled=not asked.shared, licences=licences)
        directory.users[user.id] = user
        mailbox = exchange.mailboxes[address] = Mailbox(address, name, user.id, shared=asked.shared)
        return view(mailbox)

    @routes.on("GET", "/mailboxes/{address}")
    async def show(request: Request) -> dict[str, Any]:
        return view(mailbox_of(works, request))

    @routes.on("PATCH", "/mailboxes/{address}")
    async def change(request: Request) -> dict[str, Any]:
        mailbox = mailbox_of(works, request)
        values = (await body(request, MailboxChange)).model_dump(exclude_none=True)
        if "quota" in values:
            mailbox.store.quota = values.pop("quota")
        if values.get("smtp_auth_disabled") == "inherit":
            values["smtp_auth_disabled"] = None
        for name, value in values.items():
            setattr(mailbox, name, value)
        return view(mailbox)

    @routes.on("DELETE", "/mailboxes/{address}")
    async def delete(request: Request) -> None:
        mailbox = mailbox_of(works, request)
        del exchange.mailboxes[mailbox.address]
        directory.users.pop(mailbox.user_id, None)


def _rights(works: Works, routes: Table) -> None:
    @routes.on("PUT", "/mailboxes/{address}/rights/{right}/{who}")
    async def grant(request: Request) -> dict[str, Any]:
        mailbox = mailbox_of(works, request)
        _holders(mailbox, request).add(_who(works, request))
        return view(mailbox)

    @routes.on("DELETE", "/mailboxes/{address}/rights/{right}/{who}")
    async def revoke(request: Request) -> dict[str, Any]:
        mailbox = mailbox_of(works, request)
        _holders(mailbox, request).discard(_who(works, request))
        return view(mailbox)


def _holders(mailbox: Mailbox, request: Request) -> set[str]:
    right = request.path_params["right"]
    if right not in RIGHTS:
        raise Bad(f"No right {right}; write one of {', '.join(RIGHTS)}.", 404)
    holders: set[str] = getattr(mailbox, RIGHTS[right])
    return holders


def _who(works: Works, request: Request) -> str:
    """An object id or address as given; an application's id stands for its service principal."""
    who = str(request.path_params["who"]).lower()
    principal = works.tenant.directory.principal_by_app_id(who)
    return principal.id if principal else who


def _organisation(works: Works, routes: Table) -> None:
    exchange = works.tenant.exchange

    @routes.on("PATCH", "/exchange")
    async def switch(request: Request) -> dict[str, Any]:
        for name, value in (await body(request, OrganisationChange)).model_dump(exclude_none=True).items():
            setattr(exchange, name, value)
        return {name: getattr(exchange, name) for name in OrganisationChange.model_fields}

    @routes.on("GET", "/exchange/principals")
    async def list_principals(_: Request) -> list[Any]:
        return [vars(principal) for principal in exchange.principals]

    @routes.on("POST", "/exchange/principals")
    async def register(request: Request) -> dict[str, Any]:
        asked = await body(request, NewPrincipal)
        principal = KnownPrincipal(asked.app_id, asked.object_id, asked.name)
        exchange.principals.append(principal)
        return vars(principal)

    @routes.on("DELETE", "/exchange/principals/{id}")
    async def unregister(request: Request) -> None:
        """By object id or application id."""
        key = request.path_params["id"]
        kept = [p for p in exchange.principals if key not in {p.object_id, p.app_id}]
        if len(kept) == len(exchange.principals):
            raise Bad(f"Exchange knows no service principal {key}: GET /lab/api/exchange/principals lists them.", 404)
        exchange.principals[:] = kept


def _scopes(works: Works, routes: Table) -> None:
    exchange = works.tenant.exchange

    @routes.on("POST", "/exchange/scopes")
    async def add_scope(request: Request) -> dict[str, Any]:
        asked = await body(request, NewScope)
        exchange.scopes.append(RoleScope(asked.name, asked.app_id, asked.role, {m.lower() for m in asked.members}))
        return asked.model_dump()

    @routes.on("DELETE", "/exchange/scopes/{name}")
    async def remove_scope(request: Request) -> None:
        name = request.path_params["name"]
        kept = [s for s in exchange.scopes if s.name != name]
        if len(kept) == len(exchange.scopes):
            raise Bad(f"No role assignment {name}.", 404)
        exchange.scopes[:] = kept
