"""Signing in on another device: codes that wait for a person (RFC 8628, Microsoft's device code flow)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from m365lab.clock import Clock
from m365lab.directory import User
from m365lab.entra.errors import EntraError

_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"
_CODE_LENGTH = 9
LIFETIME = 900
"""Seconds that a code lives at Microsoft."""


@dataclass
class DeviceCode:
    """A code that was given out."""

    device_code: str
    user_code: str
    client_id: str
    scope: str
    ends_at: float
    interval: float
    user_id: str = ""
    """Who approved it; "" while it waits."""
    declined: bool = False
    polled_at: float | None = None


@dataclass
class Devices:
    """The codes given out and not yet redeemed."""

    clock: Clock
    interval: float = 5
    """Seconds that a client must wait between two questions; settable, for tests that cannot wait."""
    codes: dict[str, DeviceCode] = field(default_factory=dict)
    """By user code."""

    def start(self, client_id: str, scope: str) -> DeviceCode:
        user_code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
        ends_at = self.clock.time() + LIFETIME
        code = DeviceCode(secrets.token_urlsafe(96), user_code, client_id, scope, ends_at, self.interval)
        self.codes[user_code] = code
        return code

    def waiting(self, user_code: str) -> DeviceCode:
        """The code that a person typed. Raises `EntraError` 70018 or 90120."""
        code = self.codes.get(user_code.strip().upper().replace("-", ""))
        if code is None or code.ends_at <= self.clock.time():
            raise EntraError(70018)
        if code.user_id or code.declined:
            raise EntraError(90120)
        return code

    def approve(self, user_code: str, user: User) -> DeviceCode:
        code = self.waiting(user_code)
        code.user_id = user.id
        return code

    def decline(self, user_code: str) -> None:
        self.waiting(user_code).declined = True

    def redeem(self, device_code: str, client_id: str) -> DeviceCode:
        """The approved code, used up. Raises `EntraError`: still waiting, too fast, declined or expired."""
        code = next((c for c in self.codes.values() if c.device_code == device_code), None)
        if code is None or code.client_id != client_id:
            raise EntraError(70018)
        now = self.clock.time()
        if code.ends_at <= now:
            raise EntraError(70020)
        if code.declined:
            raise EntraError(90120)
        if not code.user_id:
            self._pace(code, now)
            raise EntraError(70016)
        del self.codes[code.user_code]
        return code

    def _pace(self, code: DeviceCode, now: float) -> None:
        """Asks a client that comes too fast to wait five seconds more each time (RFC 8628 section 3.5)."""
        last, code.polled_at = code.polled_at, now
        if last is not None and now - last < code.interval:
            code.interval += 5
            raise EntraError(70016, error="slow_down")
