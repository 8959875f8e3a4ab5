"""What the transport tests share: certificates of an authority of their own, tokens, an observer that remembers."""

from __future__ import annotations

import pytest

from postroom.microsoft.answers import Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.transports.base import OAuth

from .authority import Certificates, authority


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return authority(tmp_path_factory.mktemp("tls"))


class Tokens:
    """Gives token-1, then token-2 when forced, and so on; remembers how often it was forced."""

    def __init__(self) -> None:
        self.number = 1

    def __call__(self, *, force: bool = False) -> AccessToken:
        self.number += force
        return AccessToken(f"token-{self.number}", 0.0, Claims())


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def oauth(tokens: Tokens) -> OAuth:
    return OAuth("ann@contoso.test", tokens)


class Watcher:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[Step, str]] = []

    def __call__(self, step: Step, detail: str) -> None:
        self.seen.append((step, detail))

    @property
    def steps(self) -> list[Step]:
        """Each step once, in order."""
        return list(dict.fromkeys(step for step, _ in self.seen))

    def detail(self, step: Step) -> str:
        return next(detail for seen, detail in reversed(self.seen) if seen is step)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()
