"""`python -m bench`: measures, prints, and writes the results down. `make bench` calls it with the peers installed."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bench import acceptance, growth, lanes, machine, pacing, postgres, relay, results
from bench.house import Stage, stage
from bench.results import Measured, Say, Scale

_ROOT = Path(__file__).resolve().parent.parent
_PROXY = Path(sys.prefix) / "emailproxy"

MEASUREMENTS: dict[str, Callable[[Stage, Scale, Say], Measured]] = {
    "acceptance": acceptance.run,
    "relay": partial(relay.run, proxy_environment=_PROXY),
    "pacing": pacing.run,
    "growth": growth.run,
    "lanes": lanes.run,
    "postgres": postgres.run,
}


def main() -> int:
    """`QUICK=1` for a short run that is not written down, `ONLY=relay,growth` for some measurements."""
    quick = bool(os.environ.get("QUICK"))
    only = os.environ.get("ONLY", "").replace(",", " ").split() or list(MEASUREMENTS)
    if unknown := set(only) - MEASUREMENTS.keys():
        say(f"There is no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}.")
        return 2
    about, found, failed = machine.describe(), {}, []
    say(machine.sentence(about))
    began = time.monotonic()
    with stage() as here:
        for name in only:
            say(f"{name} ({time.monotonic() - began:.0f} s since the start)")
            try:
                found[name] = MEASUREMENTS[name](here, Scale(quick), say)
            except Exception:  # one measurement that breaks must not lose the others
                traceback.print_exc()
                failed.append(name)
    say(f"\n{results.in_full(found.values())}\n\n{results.aims_table(found.values())}")
    say(f"\nTook {(time.monotonic() - began) / 60:.1f} minutes." + (f" Failed: {', '.join(failed)}." if failed else ""))
    _keep(about, found, failed, whole=not quick and only == list(MEASUREMENTS))
    return 1 if failed else 0


def _keep(about: dict[str, Any], found: dict[str, Measured], failed: list[str], *, whole: bool) -> None:
    """Always as JSON; only a whole run goes into README.md and docs/bench.md."""
    stamp = about["date"].replace(" UTC", "").replace(" ", "T").replace(":", "") if whole else "partial"
    file = _ROOT / "bench" / "results" / f"{stamp}.json"
    file.write_text(
        json.dumps({"machine": about} | {name: asdict(one) for name, one in found.items()}, indent=1) + "\n"
    )
    say(f"Written: bench/results/{file.name}")
    if not whole:
        return
    head = machine.sentence(about) + (f" **Not measured, for it broke: {', '.join(failed)}.**" if failed else "")
    aims = results.aims_table(found.values())
    results.rewrite(_ROOT / "README.md", f"{aims}\n\n{head} [All of it, and how](docs/bench.md).")
    results.rewrite(_ROOT / "docs" / "bench.md", f"{head}\n\n{aims}\n\n{results.in_full(found.values())}")
    say("Rewritten: the tables in README.md and docs/bench.md")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
