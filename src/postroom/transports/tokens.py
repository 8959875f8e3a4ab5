"""Asking for the token off the event loop, and when to ask again."""

from __future__ import annotations

import asyncio

from postroom.microsoft.answers import Answer, Service, Step
from postroom.transports.base import OAuth, SignIn


async def token(sign_in: OAuth, *, force: bool = False) -> str:
    """The token's value. Raises `Refused` with Entra's answer."""
    held = await asyncio.to_thread(lambda: sign_in.token(force=force))
    return held.value


def worth_a_new_token(sign_in: SignIn, answer: Answer) -> bool:
    """A sign-in that was refused by the mail service itself, with a token that may be stale (revoked, or cached
    from before a consent): Entra is asked once more. Throttling is no such refusal.
    """
    return (
        isinstance(sign_in, OAuth)
        and answer.step is Step.SIGN_IN
        and answer.service not in (Service.NETWORK, Service.ENTRA)
        and answer.retry_after is None
        and answer.code in {"535", "NO", "-ERR"}
    )
