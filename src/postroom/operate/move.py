"""Moving everything from the embedded database to PostgreSQL: one transaction there, the source left as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import BinaryField, Model

from postroom.core.database import database
from postroom.core.faults import Fault

_TARGET = "target"
_MIGRATIONS = "django_migrations"
_FILLED_BY_MIGRATING = frozenset({"django_content_type", "auth_permission", "mailboxes_provider"})
_AT_ONCE = 500
"""Rows read at once; where rows hold whole messages, one."""

Tell = Callable[[str, int], None]
"""Told of each table that was copied, and its rows."""


def move(url: str, tell: Tell) -> dict[str, int]:
    """Migrates the PostgreSQL database at `url`, and copies every table. Returns table -> rows. Raises `Fault`.

    The source is SQLite, and nobody may serve on it (`in_use.alone`). When anything fails, the target is as empty as
    before.
    """
    if urlsplit(url).scheme not in {"postgres", "postgresql"}:
        raise Fault("the target is not PostgreSQL", "Write --to postgresql://user:password@host/name")
    config = database(url)
    connections.settings[_TARGET] = connections.configure_settings({"default": config})["default"]
    try:
        return _move(tell)
    except (DatabaseError, InterfaceError) as error:
        raise Fault(
            f"PostgreSQL says: {str(error).strip()}",
            "Nothing was copied, the source is as it was. Mend it, repeat.",
        ) from error
    finally:
        connections[_TARGET].close()
        del connections[_TARGET]
        del connections.settings[_TARGET]


def _move(tell: Tell) -> dict[str, int]:
    models = _models()
    _insist_empty(models)
    call_command("migrate", database=_TARGET, verbosity=0, interactive=False)
    copied: dict[str, int] = {}
    # The source's transaction is IMMEDIATE (`core.database`): nobody writes there until this is done.
    with transaction.atomic(), transaction.atomic(using=_TARGET):
        target = connections[_TARGET]
        with target.cursor() as cursor:
            names = ", ".join(target.ops.quote_name(model._meta.db_table) for model in models)
            cursor.execute(f"TRUNCATE {names}")
            for model in models:
                copied[model._meta.db_table] = _copy(model, cursor)
                tell(model._meta.db_table, copied[model._meta.db_table])
            for statement in target.ops.sequence_reset_sql(no_style(), models):
                cursor.execute(statement)
        _insist_equal(models)
    return copied


def _models() -> list[type[Model]]:
    """All that have a table."""
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if model._meta.managed and not model._meta.proxy]


def _insist_empty(models: list[type[Model]]) -> None:
    target = connections[_TARGET]
    present = set(target.introspection.table_names())
    ours = {model._meta.db_table: model for model in models}
    strange = present - ours.keys() - {_MIGRATIONS}
    full = [
        name
        for name in sorted(present & ours.keys() - _FILLED_BY_MIGRATING)
        if ours[name]._base_manager.using(_TARGET).exists()
    ]
    if strange or full:
        raise Fault(
            f"the target is not empty: it has {', '.join([*sorted(strange), *full][:5])}",
            "Make an empty database (createdb), and name that.",
        )


def _copy(model: type[Model], cursor: Any) -> int:
    """Streams one table; the values are what Django would write, but for times that it would set anew."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    large = any(isinstance(field, BinaryField) for field in fields)
    rows = model._base_manager.order_by("pk").values_list(*(field.attname for field in fields))
    target = connections[_TARGET]
    columns = ", ".join(target.ops.quote_name(str(field.column)) for field in fields)
    done = 0
    with cursor.copy(f"COPY {target.ops.quote_name(model._meta.db_table)} ({columns}) FROM STDIN") as copy:
        for row in rows.iterator(chunk_size=1 if large else _AT_ONCE):
            copy.write_row(
                [field.get_db_prep_save(_clean(value), target) for field, value in zip(fields, row, strict=True)]
            )
            done += 1
    return done


def _clean(value: Any) -> Any:
    """Without NUL characters, which SQLite keeps in texts and PostgreSQL refuses (its manual, section 8.3)."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    return value


def _insist_equal(models: list[type[Model]]) -> None:
    for model in models:
        here, there = (model._base_manager.using(alias).count() for alias in ("default", _TARGET))
        if here != there:
            raise Fault(
                f"{model._meta.db_table} has {here} rows here and {there} there", "Nothing was kept there. Repeat it."
            )
