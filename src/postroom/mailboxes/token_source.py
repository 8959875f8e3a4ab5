"""The one source of access tokens of this process, and its record of which credentials Entra refuses."""

from __future__ import annotations

from functools import cache

from django.db import connection

from postroom.mailboxes.models import Credential
from postroom.microsoft.tokens import TokenSource


@cache
def token_source() -> TokenSource:
    """Shared by all threads, so that an application's token is asked for once."""
    return TokenSource(on_refused=_note_refused, on_used=_note_used)


def _note_refused(credential_id: str, code: str) -> None:
    """Kept beside the credential: the list of mailboxes shows it without asking anybody."""
    try:
        Credential.objects.filter(pk=credential_id).exclude(refused_with=code).update(refused_with=code[:40])
    finally:
        _give_back()


def _note_used(credential_id: str) -> None:
    try:
        Credential.objects.filter(pk=credential_id).exclude(refused_with="").update(refused_with="")
    finally:
        _give_back()


def _give_back() -> None:
    """Tokens are asked for in passing threads; their database connections must not outlive them."""
    if not connection.in_atomic_block:
        connection.close()
