"""What the lab's own doors (control API, page, command line) work on: the running lab's parts in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from m365lab.entra.token_endpoint import Entra
from m365lab.post import PostOffice
from m365lab.tenant import Tenant


@dataclass(frozen=True)
class Works:
    tenant: Tenant
    office: PostOffice
    entra: Entra
    describe: Callable[[], dict[str, Any]]
    """The endpoints and ids of the running lab: what `--json` prints."""
    reset: Callable[[], None]
    """Puts the tenant back to what it was when the lab started."""
