"""The verbs of providers: list, get, save, copy, delete, and bringing the shipped ones up to date."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, fields
from functools import cache
from importlib.resources import files
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.mailboxes import passwords
from postroom.mailboxes.models import Provider
from postroom.mailboxes.passwords import Tell
from postroom.mailboxes.rules import CHOICES, judge_provider
from postroom.mailboxes.values import Invalid, NotFound, ProviderData

_PRESET = {name: getattr(Provider(), name) for name in CHOICES}
_FIELDS = tuple(field.name for field in fields(ProviderData))


def list_providers(search: str = "") -> list[Provider]:
    """Providers whose name contains `search`, by name."""
    return list(Provider.objects.filter(name__icontains=search.strip()))


def get(slug: str) -> Provider:
    """Raises `NotFound`."""
    try:
        return Provider.objects.get(slug=slug)
    except Provider.DoesNotExist:
        raise NotFound(f"there is no provider {slug!r}", "see: postroom provider list") from None


def data_of(provider: Provider) -> ProviderData:
    """The row as a value."""
    return ProviderData(**{name: getattr(provider, name) for name in _FIELDS})


@transaction.atomic
def save(data: ProviderData, by: Actor, slug: str | None = None, tell: Tell = passwords.nobody) -> Provider:
    """Adds a provider, or changes the one named. A mailbox's password that would now go elsewhere is dropped, and
    `tell` is told. Raises `Invalid`, `NotFound`."""
    provider = get(slug) if slug else Provider()
    if provider.built_in:
        raise Invalid({"name": [f"{provider.name!r} ships with Postroom and is not edited; copy it and edit the copy"]})
    errors = judge_provider(data)
    if Provider.objects.filter(name__iexact=data.name.strip()).exclude(pk=provider.pk).exists():
        errors.setdefault("name", []).append(
            f"there is a provider called {data.name.strip()!r} already; choose another name"
        )
    if errors:
        raise Invalid(errors)
    before = asdict(data_of(provider)) if provider.pk else {}
    users = list(provider.mailboxes.select_related("application")) if provider.pk else []
    went_to = [passwords.goes_to(mailbox, data_of(provider)) for mailbox in users]
    _fill(provider, data)
    provider.slug = provider.slug or _free_slug(data.slug or data.name)
    provider.save()
    action = "provider.changed" if before else "provider.created"
    audit.record(by, action, provider.name, audit.changes(before, asdict(data_of(provider))))
    for mailbox, old in zip(users, went_to, strict=True):
        if passwords.drop_if_elsewhere(mailbox, old, data_of(provider), by):
            tell(f"{mailbox.name}: {passwords.REMOVED}")
    return provider


def copy(slug: str, name: str, by: Actor) -> Provider:
    """A new provider with all settings of the one named. Raises `Invalid`, `NotFound`."""
    values = asdict(data_of(get(slug))) | {"name": name, "slug": ""}
    return save(ProviderData(**values), by)


@transaction.atomic
def delete(slug: str, by: Actor) -> None:
    """Raises `Invalid` when it ships with Postroom or a mailbox uses it, `NotFound`."""
    provider = get(slug)
    if provider.built_in:
        raise Invalid({"name": [f"{provider.name!r} ships with Postroom and would come back; it cannot be deleted"]})
    try:
        provider.delete()
    except ProtectedError:
        users = ", ".join(provider.mailboxes.values_list("name", flat=True))
        raise Invalid({"name": [f"{provider.name!r} is used by: {users}; give these another provider first"]}) from None
    audit.record(by, "provider.deleted", provider.name)


@cache
def shipped() -> tuple[ProviderData, ...]:
    """The presets of `providers.toml`."""
    text = files("postroom.mailboxes").joinpath("providers.toml").read_text(encoding="utf-8")
    return tuple(
        ProviderData(slug=slug, **{name: value for name, value in values.items() if name != "source"})
        for slug, values in tomllib.loads(text).items()
    )


def install(using: str = "default") -> None:
    """Adds the shipped presets, or brings them up to date. A person's provider of the same name keeps it."""
    for data in shipped():
        taken = Provider.objects.using(using).filter(name=data.name).exclude(slug=data.slug).exists()
        values = _without(asdict(data), ("slug",))
        if taken:
            values["name"] = f"{data.name} (shipped)"
        Provider.objects.using(using).update_or_create(slug=data.slug, defaults=values | {"built_in": True})


def _fill(provider: Provider, data: ProviderData) -> None:
    for name, value in _without(asdict(data), ("slug",)).items():
        setattr(provider, name, value.strip() if isinstance(value, str) else value)
    # What nobody chose is what the table presets.
    for name in CHOICES:
        if not getattr(provider, name):
            setattr(provider, name, _PRESET[name])


def _without(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _free_slug(wish: str) -> str:
    stem = slugify(wish)[:40] or "provider"
    slug, number = stem, 2
    while Provider.objects.filter(slug=slug).exists():
        slug, number = f"{stem}-{number}", number + 1
    return slug
