"""docs/errors-proved.md, made from what the tests of this folder provoke.

PYTHONPATH=tests python -m stories.proof.table > docs/errors-proved.md
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from postroom.microsoft.catalogue import faults

_HEAD = """\
# Known failures, proved

Each row of [the catalogue of errors](errors.md) that a test provokes, at the lab or at another server on loopback, is
explained with its own cause and fix, and with no other's. Made by `PYTHONPATH=tests python -m stories.proof.table`; a
test keeps it current.

*Fault* is one that [the lab](lab.md) has a switch for. *Said on command* means that the lab says the words of the
documentation when told to: what is proved is that Postroom understands them.

## Rows proved

| id | provoked by | test |
| --- | --- | --- |
"""
_UNPROVABLE = """
## Rows that no simulator can prove

The lab can say their words on command, but nothing in it is their cause. That they are understood is tested all the
same, in `tests/unit/microsoft/test_catalogue.py` and `test_narrowing.py`; when Microsoft says them, only Microsoft can
show.

| id | why not |
| --- | --- |
"""


class Proved(NamedTuple):
    """A row of the catalogue, one phrase on how it was provoked, and the test's file in this folder."""

    fault: str
    how: str
    test: str


def as_markdown(proved: Iterable[Proved]) -> str:
    """The page, rows in the catalogue's order."""
    ways = list(proved)
    page = _HEAD
    for row in faults().values():
        if not row.provable:
            continue
        own = [way for way in ways if way.fault == row.id]
        how = "; ".join(dict.fromkeys(way.how for way in own))
        tests = ", ".join(dict.fromkeys(f"`tests/stories/proof/{way.test}`" for way in own))
        page += f"| `{row.id}` | {how} | {tests} |\n"
    page += _UNPROVABLE
    return page + "".join(f"| `{row.id}` | {row.unprovable} |\n" for row in faults().values() if not row.provable)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postroom.settings")
    django.setup()
    from .test_proved import proved

    sys.stdout.write(as_markdown(proved()))
