"""Access tokens for all who need one: cached, renewed early, asked for once however many wait.

Threads and event loops share one source; why it is synchronous: docs/decisions/0004-tokens.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.claims import AccessToken
from postroom.microsoft.entra import ask
from postroom.microsoft.identity import (
    ApplicationIdentity,
    Certificate,
    ClientSecret,
    CredentialSecret,
    FederatedFile,
    ManagedIdentity,
)

__all__ = [
    "ApplicationIdentity",
    "Certificate",
    "ClientSecret",
    "CredentialSecret",
    "FederatedFile",
    "ManagedIdentity",
    "TokenSource",
]

_log = logging.getLogger(__name__)

_EARLY_SECONDS = 300.0
_EARLY_SHARE = 0.1
_REFUSAL_KEPT = 5.0
"""Seconds for which a refusal is the answer to all who ask, so that waiters don't each ask Entra again."""
_RETRY_AFTER_MOST = 300.0
_FORCED_KEPT = 10.0
"""Seconds for which a forced token is not forced again: a mailbox that refuses every token asks Entra once."""

Ask = Callable[[ApplicationIdentity, CredentialSecret, str], AccessToken]
OnRefused = Callable[[str, str], None]
OnUsed = Callable[[str], None]


@dataclass(slots=True)
class _Slot:
    """What is known for one application and scope. Written under `lock`; `version` counts the outcomes."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    version: int = 0
    token: AccessToken | None = None
    renew_at: float = 0.0
    forced_until: float = 0.0
    refusal: Answer | None = None
    refused_until: float = 0.0


class TokenSource:
    """Gives access tokens. One for each process; safe to use from any thread."""

    def __init__(
        self,
        *,
        on_refused: OnRefused | None = None,
        on_used: OnUsed | None = None,
        ask: Ask = ask,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`on_refused(credential id, code)` is told of a credential Entra refused, `on_used(credential id)` of the
        one that worked; `ask` makes one request; `clock` gives Unix time."""
        self._on_refused, self._on_used, self._ask, self._clock = on_refused, on_used, ask, clock
        self._slots: dict[tuple[str, ...], _Slot] = {}
        self._lock = threading.Lock()

    def get(self, identity: ApplicationIdentity, resource: str, *, force: bool = False) -> AccessToken:
        """The token for `resource`; may block on the network. `force` asks Entra although a token is held.

        Raises `Refused` with the answer of Entra, or of the network on the way there.
        """
        slot = self._slot(identity, resource)
        seen = slot.version
        held = self._held(slot)
        if held and not force:
            if self._clock() < slot.renew_at:
                return held
            if not slot.lock.acquire(blocking=False):
                return held  # another thread renews it; this one is good until it has
        else:
            slot.lock.acquire()
        try:
            return self._settle(slot, identity, resource, force=force, seen=seen)
        finally:
            slot.lock.release()

    def forget(self, client_id: str, tenant: str = "") -> None:
        """Drops what is held for an application, in one tenant or in all: its credential has changed."""
        with self._lock:
            for key in list(self._slots):
                if key[2] == client_id.lower() and tenant.lower() in {"", key[1]}:
                    del self._slots[key]

    def _slot(self, identity: ApplicationIdentity, resource: str) -> _Slot:
        key = (
            identity.cloud.authority,
            identity.tenant.lower(),
            identity.client_id.lower(),
            resource,
            identity.fingerprint(),
        )
        with self._lock:
            return self._slots.setdefault(key, _Slot())

    def _held(self, slot: _Slot) -> AccessToken | None:
        token = slot.token
        return token if token and self._clock() < token.expires_at else None

    def _settle(
        self, slot: _Slot, identity: ApplicationIdentity, resource: str, *, force: bool, seen: int
    ) -> AccessToken:
        """Decides, holding the slot's lock, between what is known by now and a new request."""
        now = self._clock()
        held = self._held(slot)
        shared = slot.version != seen
        waiting = slot.refusal is not None and now < slot.refused_until
        if slot.refusal and waiting and (shared or not force or slot.refusal.retry_after):
            if held and not force:
                return held
            wait = slot.refused_until - now if slot.refusal.retry_after else None
            raise Refused(replace(slot.refusal, retry_after=wait))
        if held and (shared or (now < slot.forced_until if force else now < slot.renew_at)):
            return held
        return self._renew(slot, identity, resource, force=force, held=held)

    def _renew(
        self, slot: _Slot, identity: ApplicationIdentity, resource: str, *, force: bool, held: AccessToken | None
    ) -> AccessToken:
        try:
            token = self._first_accepted(identity, resource)
        except Refused as refused:
            slot.version += 1
            slot.refusal = refused.answer
            keep = min(refused.answer.retry_after or _REFUSAL_KEPT, _RETRY_AFTER_MOST)
            slot.refused_until = self._clock() + keep
            if held and not force:
                return held  # it was only an early renewal
            raise
        now = self._clock()
        slot.version += 1
        slot.token, slot.refusal = token, None
        slot.renew_at = token.expires_at - min(_EARLY_SECONDS, _EARLY_SHARE * max(0.0, token.expires_at - now))
        slot.forced_until = now + _FORCED_KEPT if force else 0.0
        return token

    def _first_accepted(self, identity: ApplicationIdentity, resource: str) -> AccessToken:
        """Tries the credentials in turn. Of several refusals the first is told: it is about the one in use."""
        first: Refused | None = None
        for credential in identity.credentials:
            try:
                token = self._ask(identity, credential, resource)
            except Refused as refused:
                if not is_about_the_credential(refused.answer):
                    raise
                _tell(self._on_refused, credential.id, refused.answer.code)
                first = first or refused
                continue
            _tell(self._on_used, credential.id)
            return token
        if first is None:
            text = f"the application {identity.client_id} has none; add a client secret or a certificate"
            raise Refused(Answer(Service.ENTRA, Step.TOKEN, "credential", text))
        raise first


def is_about_the_credential(answer: Answer) -> bool:
    """True when another credential of the same application may fare better (RFC 6749 section 5.2)."""
    return answer.enhanced == "invalid_client" or answer.code == "credential"


def _tell(listener: Callable[..., None] | None, *what: str) -> None:
    if listener is None:
        return
    try:
        listener(*what)
    except Exception:
        _log.exception("the record of a credential's use could not be kept; the token is not affected")
