"""What a colleague with the rights needs, made from the wanted state: script, portal checklist, state as YAML.

They describe the whole wanted state, not what is left of it: whoever writes them cannot look into the tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from postroom.core.clock import now
from postroom.microsoft.ids import application_id
from postroom.tenant import setups
from postroom.tenant.calls import Cmdlet
from postroom.tenant.models import Setup
from postroom.tenant.needs import EXCHANGE, GRAPH, consented_roles, scoped_roles
from postroom.tenant.observed import MailboxSeen, Observed, Resource, UserSeen
from postroom.tenant.plan import plan
from postroom.tenant.script import ScriptWriter
from postroom.tenant.steps import Plan
from postroom.tenant.wanted import CredentialKind, Wanted
from postroom.tenant.wanted_file import write

_TITLES = {EXCHANGE: "Office 365 Exchange Online", GRAPH: "Microsoft Graph"}
ANSWER = {
    "tenant": "Directory (tenant) ID",
    "client_id": "Application (client) ID",
    "application_object_id": "Object ID of the App registration",
    "service_principal_id": "Object ID of the Enterprise application",
    "secret": "Value of the client secret (not its ID)",
    "secret_expires": "its expiry date, such as 2027-05-31",
}
"""What comes back: key -> what it is called in the portal."""


def script(setup: Setup) -> str:
    """Exchange's part as a PowerShell script; ASCII."""
    wanted = setups.wanted_of(setup)
    writer = ScriptWriter(wanted.title, setup.tenant, setup.cloud, _known(setup))
    asyncio.run(write_script(writer, whole_plan(wanted)))
    return writer.text()


async def write_script(writer: ScriptWriter, whole: Plan) -> None:
    """Writes down the cmdlets of a plan, each step with its title."""
    for step in whole.steps:
        cmdlets = [call for call in step.calls if isinstance(call, Cmdlet)]
        if cmdlets:
            writer.comment(f"{step.title}. {step.why}")
        for cmdlet in cmdlets:
            await writer.run(cmdlet)


def whole_plan(wanted: Wanted) -> Plan:
    """The plan for a tenant of which nothing is known: all that is wanted, nothing taken for granted."""
    users = [one.address for one in wanted.mailboxes if not one.shared]
    resources = {
        name: Resource(application_id(name), name, {one.value: one.value for one in consented_roles(wanted)})
        for name in (EXCHANGE, GRAPH)
    }
    nothing = Observed(
        tenant_id=wanted.tenant,
        resources=resources,
        mailboxes={one: MailboxSeen(one, smtp_auth_off=True, imap=False, pop=False) for one in users},
        users={one: UserSeen(one, licensed=True) for one in users},
        people=frozenset(
            person for box in wanted.mailboxes for person in (*box.members, *box.send_as, *box.send_on_behalf)
        ),
    )
    return plan(wanted, nothing, now())


def checklist(setup: Setup) -> str:
    """The portal's part, step by step, as Markdown with values to copy."""
    wanted, known = setups.wanted_of(setup), _known(setup)
    lines = [f"# Set-up of {wanted.title} in Microsoft 365", ""]
    lines += [f"Tenant: `{setup.tenant}`. Tick each line off; at the end, send back what is asked for.", ""]
    lines += _numbered(_steps(wanted, known))
    lines += ["", "## Send back", "", "The secret by a way that only the two of you can read.", "", "```yaml"]
    lines += [f"{key}: {known.get(key) or ''}  # {name}" for key, name in _answer(wanted).items()]
    return "\n".join([*lines, "```", ""])


def state(setup: Setup, observed: Observed | None = None) -> str:
    """Wanted state, ids learnt, and what was observed, as YAML. Holds no secret."""
    data: dict[str, Any] = {"wanted": yaml.safe_load(write(setups.wanted_of(setup))), "ids": dict(_known(setup))}
    if observed is not None:
        data["observed"] = observed.to_data()
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _answer(wanted: Wanted) -> Mapping[str, str]:
    by_secret = wanted.credential.kind is CredentialKind.SECRET
    return {key: name for key, name in ANSWER.items() if by_secret or not key.startswith("secret")}


def _steps(wanted: Wanted, known: Mapping[str, str]) -> Iterator[str]:
    if not known.get("client_id"):
        yield (
            f"[Entra admin center](https://entra.microsoft.com) > App registrations > New registration. Name: "
            f"`{wanted.application}`. Supported account types: this organizational directory only. Register."
        )
    yield "Its Overview: copy *Application (client) ID*, *Object ID* and *Directory (tenant) ID*."
    yield from _permissions(wanted)
    yield from _credential(wanted)
    yield (
        "Enterprise applications > the same name > Overview: copy *Object ID*. It differs from the App registration's "
        "Object ID, and it is this one that the script asks for as ServicePrincipalId."
    )
    for mailbox in wanted.mailboxes:
        if mailbox.shared:
            name = mailbox.name or mailbox.address
            yield (
                "Microsoft 365 admin center > Teams & groups > Shared mailboxes > Add a shared mailbox (the script "
                f"does it too): name `{name}`, address `{mailbox.address}`. It needs no licence."
            )
        else:
            yield f"Users > Active users > `{mailbox.address}` > Licenses and apps: one with Exchange Online is ticked."
    yield "Run the PowerShell script that came with this list, as an Exchange administrator."


def _permissions(wanted: Wanted) -> Iterator[str]:
    for resource, title in _TITLES.items():
        values = [f"`{one.value}`" for one in consented_roles(wanted) if one.resource == resource]
        if values:
            where = "APIs my organization uses" if resource == EXCHANGE else "Microsoft APIs"
            yield (
                f"API permissions > Add a permission > {where} > {title} > **Application permissions** (not "
                f"delegated): {', '.join(values)}."
            )
    if consented_roles(wanted):
        yield "API permissions > Grant admin consent. Every line shows a green tick."
    if roles := scoped_roles(wanted):
        yield f"Do **not** add {', '.join(f'`{one}`' for one in roles)} there: the script gives them for a scope only."


def _credential(wanted: Wanted) -> Iterator[str]:
    credential = wanted.credential
    where = "Certificates & secrets"
    match credential.kind:
        case CredentialKind.SECRET:
            yield (
                f"{where} > New client secret, {credential.days} days. Copy its *Value* at once; it is not shown again."
            )
        case CredentialKind.CERTIFICATE:
            yield (
                f"{where} > Certificates > Upload certificate: its public part, which you get when you have sent the "
                "ids below."
            )
        case CredentialKind.FEDERATED:
            yield (
                f"{where} > Federated credentials > Add credential > Other issuer. Issuer `{credential.issuer}`, "
                f"subject `{credential.subject}`."
            )


def _numbered(sentences: Iterator[str]) -> list[str]:
    return [f"{number}. [ ] {sentence}" for number, sentence in enumerate(sentences, 1)]


def _known(setup: Setup) -> dict[str, str]:
    ids = {
        "tenant": setup.tenant_id,
        "client_id": setup.client_id,
        "application_object_id": setup.application_id,
        "service_principal_id": setup.service_principal_id,
    }
    return {key: value for key, value in ids.items() if value}
