"""What the connections of one listener go by: its data, its name, its certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from postroom.bridge.values import ListenerData


@dataclass(frozen=True, slots=True)
class Terms:
    listener_id: int
    data: ListenerData
    hostname: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
