"""Commands that keep what Postroom knows: backup, restore, and moving to another database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.cli.starting import start
from postroom.core.faults import Fault

if TYPE_CHECKING:
    from postroom.operate.backup import Manifest

app = typer.Typer()
database_app = typer.Typer(no_args_is_help=True, help="The database as a whole.")
app.add_typer(database_app, name="database")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The tar file to write.")],
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Put the key of the encryption in, too: then the file is a secret.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over the file.")] = False,
    json: JsonFlag = False,
) -> None:
    """Copy database and clouds to a file, while everything runs."""
    from postroom.core.settings import settings
    from postroom.operate import backup as job

    manifest = job.back_up(
        _embedded("pg_dump --format=custom --file={file}", file), file, with_key=with_key, force=force
    )
    if json:
        output.as_json({"file": str(file), "bytes": file.stat().st_size, "made_at": manifest.made_at, "key": with_key})
        return
    output.say(f"{file}: {file.stat().st_size:,} bytes")
    if with_key:
        output.note("The key is in it: whoever has the file has the secrets.")
    else:
        origin = "POSTROOM_KEY" if settings().key else settings().key_file
        output.note(f"The key is not in it. Keep {origin} apart: without it the stored secrets are lost.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `postroom backup` made.")],
    force: Annotated[bool, typer.Option("--force", help="Even where there is data; that is put aside.")] = False,
    json: JsonFlag = False,
) -> None:
    """Bring back what a backup holds, while no server runs."""
    from postroom.operate import backup as job
    from postroom.operate import in_use

    database = _embedded("pg_restore --clean --if-exists {file}", file)
    manifest = job.read(file)
    with in_use.alone(database):
        if (present := job.in_the_way(database, file)) and not force:
            names = ", ".join(map(str, present))
            raise Fault(f"there is data: {names}", "Repeat it with --force; what is there is put aside, not lost.")
        key = job.bring_key(file)
        _insist_known(manifest)
        aside = job.restore(database, file)
        faults = _after_restoring()
    if json:
        output.as_json({"restored": manifest.made_at, "aside": list(map(str, aside)), "key": key, "faults": faults})
        return
    output.say(f"Restored, as it was at {manifest.made_at}.")
    for line in [*(f"put aside: {path}" for path in aside), key, *(f"warning: {fault}" for fault in faults)]:
        if line:
            output.note(line)


@database_app.command("move")
def move(
    to: Annotated[str, typer.Option(help="postgresql://user:password@host/name; PGPASSWORD may hold the password.")],
    json: JsonFlag = False,
) -> None:
    """Copy everything from the embedded database to an empty PostgreSQL one, while no server runs."""
    from postroom.operate import in_use

    database = _embedded("pg_dump --format=custom --file={file}", Path("FILE"))
    start()
    from postroom.operate import move as job
    from postroom.operate import readiness

    with in_use.alone(database):
        if waiting := readiness.migrations_waiting():
            raise Fault(f"the source lacks {waiting} migrations of this version", "Run: postroom migrate")

        def tell(table: str, rows: int) -> None:
            if rows and not json:
                output.note(f"{rows:>10,}  {table}")

        copied = job.move(to, tell)
    if json:
        output.as_json({"rows": sum(copied.values()), "tables": copied})
        return
    output.say(f"{sum(copied.values()):,} rows of {len(copied)} tables are in PostgreSQL.")
    output.note(f"Set DATABASE_URL for every process, and start them; the key stays the same. {database} is as it was.")


def _embedded(instead: str, file: Path) -> Path:
    """The file of the embedded database. Raises `Fault` on PostgreSQL, with the command that does it there."""
    from postroom.core.database import database
    from postroom.core.settings import settings

    config = database(settings().database_url)
    if config["ENGINE"].endswith("sqlite3"):
        return Path(config["NAME"])
    raise Fault(
        "the database is PostgreSQL, whose own tools do this",
        f"{instead.format(file=file)} {_whereabouts(config)}; and keep {settings().home / 'clouds'} and the key apart.",
    )


def _whereabouts(config: dict[str, Any]) -> str:
    """libpq's options, without the password: PGPASSWORD or ~/.pgpass may hold it."""
    options = {"host": config["HOST"], "port": config["PORT"], "username": config["USER"], "dbname": config["NAME"]}
    return " ".join(f"--{name}={value}" for name, value in options.items() if value)


def _insist_known(manifest: Manifest) -> None:
    """Raises `Fault` when a later version made it: there is no way back through migrations."""
    start()
    from postroom.operate import readiness

    if {(room, name) for room, name in manifest.migrations} - readiness.ours():
        raise Fault(
            f"Postroom {manifest.version} made this backup, a later one", "Install that version, and repeat it."
        )


def _after_restoring() -> list[str]:
    """Brings an older database up to this version; returns what keeps it from working."""
    from django.core.management import call_command

    from postroom.operate import readiness

    call_command("migrate", verbosity=0, interactive=False)
    return readiness.faults()
