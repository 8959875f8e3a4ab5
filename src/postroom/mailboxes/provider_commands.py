"""Providers: the presets that mailboxes start from."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.accounts.commands import actor
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Invalid
from postroom.mailboxes import providers
from postroom.mailboxes.values import ProviderData

if TYPE_CHECKING:
    from postroom.mailboxes.models import Provider

app = typer.Typer(no_args_is_help=True, help=__doc__)

Slug = Annotated[str, typer.Argument(help="The provider's slug; see `postroom provider list`.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="field=value, such as smtp_host=mail.example.org; may be repeated.")
]


@app.command("list")
def list_providers(
    search: Annotated[str, typer.Argument(help="Part of the name.")] = "", json: JsonFlag = False
) -> None:
    """List providers."""
    rows = [_shown(provider) for provider in providers.list_providers(search)]
    if json:
        output.as_json(rows)
    else:
        output.table(rows, ("slug", "name", "send_by", "read_by", "sign_in_by", "built_in"), "No such provider.")


@app.command("show")
def show(slug: Slug, json: JsonFlag = False) -> None:
    """Show one provider."""
    shown = _shown(providers.get(slug))
    if json:
        output.as_json(shown)
        return
    for name, value in shown.items():
        output.say(f"{name.replace('_', ' '):22} {'' if value is None else value}")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name of the new provider.")],
    settings: Settings = None,
    json: JsonFlag = False,
) -> None:
    """Add a provider."""
    _done(providers.save(_changed(ProviderData(name=name), settings), actor()), "is added", json)


@app.command("edit")
def edit(slug: Slug, settings: Settings = None, json: JsonFlag = False) -> None:
    """Change a provider of your own; those that ship are copied instead."""
    data = _changed(providers.data_of(providers.get(slug)), settings)
    _done(providers.save(data, actor(), slug, tell=output.note), "is changed", json)


@app.command("copy")
def copy(slug: Slug, name: Annotated[str, typer.Argument(help="Name of the copy.")], json: JsonFlag = False) -> None:
    """Copy a provider, to change the copy."""
    _done(providers.copy(slug, name, actor()), "is added", json)


@app.command("delete")
def delete(slug: Slug, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Delete a provider that no mailbox uses."""
    provider = providers.get(slug)
    if not yes:
        typer.confirm(f"Delete the provider {provider.name!r}?", abort=True)
    providers.delete(slug, actor())
    output.say(f"{provider.name} is deleted")


def _done(provider: Provider, sentence: str, json: bool) -> None:
    if json:
        output.as_json(_shown(provider))
    else:
        output.say(f"{provider.name} ({provider.slug}) {sentence}")


def _shown(provider: Provider) -> dict[str, Any]:
    return asdict(providers.data_of(provider)) | {"built_in": provider.built_in}


def _changed(data: ProviderData, settings: list[str] | None) -> ProviderData:
    """`field=value` words, each read as its field wants it. Raises `Invalid`."""
    known = asdict(data)
    values: dict[str, Any] = {}
    for word in settings or ():
        name, equals, text = word.partition("=")
        if not equals or name not in known or name == "slug":
            raise Invalid({"--set": [f"{word!r} is not understood; write field=value with one of: {', '.join(known)}"]})
        values[name] = _read(name, text)
    return replace(data, **values)


def _read(name: str, text: str) -> Any:
    if name in {"can_read", "uses_cloud"}:
        if text.lower() not in {"true", "false"}:
            raise Invalid({name: ["is neither true nor false; write one of the two"]})
        return text.lower() == "true"
    if name.endswith("_port") or name in {"messages_per_minute", "recipients_per_day", "connections", "message_size"}:
        if text and not text.isdecimal():
            raise Invalid({name: [f"{text!r} is not a number; write digits only, or nothing"]})
        return int(text) if text else None
    return text
