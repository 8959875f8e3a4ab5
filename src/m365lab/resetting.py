"""Puts a tenant back to what it was: a copy taken at the start, copied back into the very same objects.

The servers hold the tenant's parts, so these stay and only their contents change.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from m365lab.entra.token_endpoint import Entra
from m365lab.limits import Limits
from m365lab.post import PostOffice
from m365lab.tenant import Tenant


@dataclass
class Beginning:
    """How the tenant was when this object was made."""

    tenant: Tenant
    office: PostOffice
    entra: Entra
    _directory: dict[str, Any] = field(init=False, repr=False)
    _exchange: dict[str, Any] = field(init=False, repr=False)
    _interval: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._directory = copy.deepcopy(vars(self.tenant.directory))
        self._exchange = copy.deepcopy(vars(self.tenant.exchange))
        self._interval = self.entra.devices.interval

    def restore(self) -> None:
        """Directory, mailboxes and rights as they were; faults, clock, limits, sign-ins and left mail cleared."""
        tenant = self.tenant
        vars(tenant.directory).update(copy.deepcopy(self._directory))
        vars(tenant.exchange).update(copy.deepcopy(self._exchange))
        vars(tenant.limits).update(vars(Limits()))
        tenant.faults.clear()
        tenant.clock.skew = 0
        self.office.gone.clear()
        self.entra.issuers.key_sets.clear()
        self.entra.devices.codes.clear()
        self.entra.devices.interval = self._interval
        self.entra.people.refresh_tokens.clear()
