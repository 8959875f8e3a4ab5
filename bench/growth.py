"""Growth: what accepting and claiming cost with a thousand and with a million messages kept, asked in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.house import Postroom, Stage
from bench.processes import Failed
from bench.results import Aim, Measured, Say, Scale, median

_SIZE = 5120
_FEW = 1000


@dataclass
class Helper:
    """`bench.inside`, asked line by line."""

    process: subprocess.Popen[str]

    def ask(self, what: str, **values: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"what": what} | values) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the helper ended while it was asked: {what}")
        return json.loads(line)


@contextmanager
def _helper(postroom: Postroom) -> Iterator[Helper]:
    command = [sys.executable, "-m", "bench.inside", '{"what": "listen"}']
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=postroom.environment
    ) as process:
        try:
            yield Helper(process)
        finally:
            process.terminate()


def run(stage: Stage, scale: Scale, say: Say) -> Measured:
    many = scale.of(1_000_000, 50_000)
    homes = {_FEW: stage.postroom("growth-few"), many: stage.postroom("growth-many")}
    sizes = {}
    for count, home in homes.items():
        took = home.run(
            "bench.inside",
            {
                "what": "fill",
                "messages": count,
                "state": "sent",
                "priority": 1,
                "mailboxes": home.mailboxes,
                "size": _SIZE,
            },
        )
        sizes[count] = (home.home / "postroom.sqlite3").stat().st_size
        say(f"  {count:,} messages kept ({took['seconds']:.0f} s to fill)")
    readings = _in_turns(homes, scale)
    for home in homes.values():
        for file in home.home.glob("postroom.sqlite3*"):
            file.unlink()  # gigabytes
    return _told(readings, sizes, many)


def _in_turns(homes: dict[int, Postroom], scale: Scale) -> dict[str, dict[int, list[float]]]:
    readings: dict[str, dict[int, list[float]]] = {verb: {count: [] for count in homes} for verb in ("accept", "claim")}
    batch = scale.of(500, 200)
    few, many = homes
    with _helper(homes[few]) as first, _helper(homes[many]) as second:
        helpers = {few: first, many: second}
        for number in range(scale.of(15, 4) + 1):
            for count, helper in helpers.items():
                mailbox = homes[count].mailboxes[0]
                accepted = helper.ask("accept", messages=batch, mailbox=mailbox, size=_SIZE)
                claimed = helper.ask("claim", messages=batch, mailbox=mailbox)
                if number:  # the first warms up
                    readings["accept"][count].append(accepted)
                    readings["claim"][count].append(claimed)
    return readings


def _told(readings: dict[str, dict[int, list[float]]], sizes: dict[int, int], many: int) -> Measured:
    said = Measured(
        "Growth",
        ["", f"{_FEW:,} kept", f"{many:,} kept", "ratio"],
        raw={verb: {str(count): values for count, values in by.items()} for verb, by in readings.items()},
    )
    for verb, words in (("accept", "accept"), ("claim", "claim, begin and settle")):
        few, lots = readings[verb][_FEW], readings[verb][many]
        ratio = median(b / a for a, b in zip(few, lots, strict=True))
        said.rows.append([f"{words}, ms a message", f"{median(few):.3f}", f"{median(lots):.3f}", f"{ratio:.2f}"])
        what = f"Growth: cost to {words} with {many:,} against {_FEW:,} kept"
        said.aims.append(Aim(what, "within 1.2x", f"{ratio:.2f}x", ratio <= 1.2))
    each = {count: size / count for count, size in sizes.items()}
    said.rows.append(["database bytes a message of 5 KB", f"{each[_FEW]:,.0f}", f"{each[many]:,.0f}", ""])
    said.notes.append("SQLite; sent messages with body, recipient and attempt. The median of the rounds, in turns.")
    return said
