"""The Microsoft clouds that this installation knows: those that ship, and files in the home's folder `clouds`."""

from __future__ import annotations

from collections.abc import Mapping

from postroom.core.settings import settings
from postroom.microsoft.clouds import Cloud, clouds


def known_clouds() -> Mapping[str, Cloud]:
    """By name. Raises `ValueError` naming the file, the key, the fault and the fix."""
    return clouds(settings().home / "clouds")
