"""Settings, all from the environment; each with a default that is safe on a laptop."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import platformdirs


class BadSetting(ValueError):
    """A setting cannot be understood; the message names it, the fault and the fix."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One field for each `POSTROOM_` variable (and `DATABASE_URL`); docs/settings.md lists them."""

    home: Path
    """`POSTROOM_HOME`: where database, key and clouds are kept when nothing else is said."""
    database_url: str = field(repr=False)
    """`DATABASE_URL`: `sqlite:///path` or `postgresql://user:password@host/name`."""
    key: str = field(repr=False)
    """`POSTROOM_KEY`: keys of the encryption at rest, each base64url of 32 bytes, separated by commas, newest first."""
    key_file: Path
    """`POSTROOM_KEY_FILE`: used when `POSTROOM_KEY` is empty; made at first start, readable by its owner only."""
    allowed_hosts: tuple[str, ...]
    """`POSTROOM_HOSTS`: host names the console answers to, separated by commas."""
    https: bool
    """`POSTROOM_HTTPS`: 1 when people reach the console over https (secure cookies, HSTS)."""
    debug: bool
    """`POSTROOM_DEBUG`: 1 shows tracebacks in the browser; never where others can reach it."""
    proxy: str
    """`POSTROOM_PROXY`: egress proxy (`http://`, `socks5://`) of every mailbox that has none of its own."""
    redirect_to: str = ""
    """`POSTROOM_REDIRECT_TO`: on test systems, all mail goes to this address instead of its recipients."""
    sent_items_patience: float = 60.0
    """`POSTROOM_SENT_ITEMS_PATIENCE`: seconds that a copy may take to show in Sent Items; a message of unknown fate is
    sent again only when it has not shown by then."""
    keep_days: float = 30.0
    """`POSTROOM_KEEP_DAYS`: how long settled messages are kept; 0 keeps them for ever."""
    metrics_token: str = field(default="", repr=False)
    """`POSTROOM_METRICS_TOKEN`: whoever asks for `/metrics` must show it; without one, this machine only may ask."""

    @classmethod
    def from_environment(cls, environment: dict[str, str] | None = None) -> Settings:
        env = dict(os.environ) if environment is None else environment
        home = Path(env.get("POSTROOM_HOME") or platformdirs.user_data_dir("postroom")).expanduser().absolute()
        return cls(
            home=home,
            database_url=env.get("DATABASE_URL") or f"sqlite:///{home / 'postroom.sqlite3'}",
            key=env.get("POSTROOM_KEY", ""),
            key_file=Path(env.get("POSTROOM_KEY_FILE") or home / "key"),
            allowed_hosts=tuple(filter(None, env.get("POSTROOM_HOSTS", "localhost,127.0.0.1,[::1]").split(","))),
            https=_flag(env, "POSTROOM_HTTPS"),
            debug=_flag(env, "POSTROOM_DEBUG"),
            proxy=env.get("POSTROOM_PROXY", ""),
            redirect_to=env.get("POSTROOM_REDIRECT_TO", ""),
            sent_items_patience=_number(env, "POSTROOM_SENT_ITEMS_PATIENCE", 60.0),
            keep_days=_number(env, "POSTROOM_KEEP_DAYS", 30.0),
            metrics_token=env.get("POSTROOM_METRICS_TOKEN", "").strip(),
        )


def _flag(env: dict[str, str], name: str) -> bool:
    value = env.get(name, "0").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"", "0", "false", "no", "off"}:
        return False
    raise BadSetting(f"{name} is {value!r}; write 1 or 0")


def _number(env: dict[str, str], name: str, otherwise: float) -> float:
    text = env.get(name, "").strip()
    try:
        value = float(text) if text else otherwise
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise BadSetting(f"{name} is {text!r}; write a number such as {otherwise:g}")
    return value


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings.from_environment()
