"""The keys of the encryption at rest: from the environment, or from a file that only its owner can read."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from postroom.core.settings import BadSetting, settings


@dataclass(frozen=True, slots=True)
class Keys:
    """32-byte keys, newest first: the first encrypts, all decrypt."""

    all: tuple[bytes, ...] = field(repr=False)

    @property
    def first(self) -> bytes:
        return self.all[0]

    @classmethod
    def parse(cls, text: str, origin: str) -> Keys:
        """Raises `BadSetting` when one is not base64url of 32 bytes."""
        found = []
        for word in text.replace(",", " ").split():
            try:
                key = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
            except (binascii.Error, ValueError):
                key = b""
            if len(key) != 32:
                raise BadSetting(
                    f"{origin} holds something that is not base64url of 32 bytes; make one with `postroom key new`"
                )
            found.append(key)
        if not found:
            raise BadSetting(f"{origin} holds no key; make one with `postroom key new`")
        return cls(tuple(found))


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


@cache
def keys() -> Keys:
    """The keys of this process; makes the key file at the very first start."""
    config = settings()
    if config.key:
        return Keys.parse(config.key, "POSTROOM_KEY")
    return _from_file(config.key_file)


def _from_file(path: Path) -> Keys:
    try:
        if not path.exists():
            _make_file(path)
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise BadSetting(
            f"cannot use the key file {path}: {error.strerror}; set POSTROOM_KEY or POSTROOM_KEY_FILE"
        ) from error
    return Keys.parse(text, str(path))


def _make_file(path: Path) -> None:
    """Whole or not at all, and once: of two processes that start together, one makes it and both read it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # readable by its owner only
    with os.fdopen(handle, "w") as file:
        file.write(new_key() + "\n")
    fresh = Path(name)
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
