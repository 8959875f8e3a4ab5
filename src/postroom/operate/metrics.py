"""The metrics, in Prometheus's text form: this process's own counts, and what the database says of the whole.

What the database says is the same from every process: take it from one of them (`max by (mailbox)`), and sum what
each process counts for itself (`sum by (mailbox)`). docs/operations.md names them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache

from django.db import DatabaseError, InterfaceError
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from postroom import __version__
from postroom.core.clock import now
from postroom.mailboxes.models import Credential
from postroom.operate import tally
from postroom.outbox.figures import Figures, figures

_DAY = timedelta(days=1)


def text(accept: str = "") -> tuple[str, bytes]:
    """Content type and content, in the form that an `Accept` header asks for."""
    _register()
    encode, content_type = choose_encoder(accept)
    return content_type, encode(REGISTRY)


class Postroom(Collector):
    """Looks when it is asked. When the database is away, only what needs none is told."""

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("postroom", "The version that runs.", {"version": __version__})
        try:
            seen, expiries = figures(), list(_expiries())
        except (DatabaseError, InterfaceError):
            yield GaugeMetricFamily("postroom_database_up", "Whether the database answers.", 0)
            yield _attempts({})
            return
        yield GaugeMetricFamily("postroom_database_up", "Whether the database answers.", 1)
        yield _attempts(seen.names)
        yield from _outbox(seen)
        yield from _lanes(seen)
        yield from expiries


@cache
def _register() -> None:
    REGISTRY.register(Postroom())


def _attempts(names: dict[int, str]) -> Metric:
    """Outcomes: `rules.Verdict.outcome`."""
    metric = CounterMetricFamily(
        "postroom_attempts",
        "Attempts that ended in this process: sent, partly, deferred, failed, unknown, braked.",
        labels=["mailbox", "transport", "outcome"],
    )
    for (mailbox, transport, outcome), count in tally.attempts().items():
        metric.add_metric([_name(names, mailbox), transport, outcome], count)
    return metric


def _outbox(seen: Figures) -> Iterator[Metric]:
    messages = GaugeMetricFamily(
        "postroom_messages",
        "Messages kept, by state; those that are sent are not counted.",
        labels=["mailbox", "state"],
    )
    for (mailbox, state), count in seen.messages.items():
        messages.add_metric([_name(seen.names, mailbox), state], count)
    yield messages
    oldest = GaugeMetricFamily(
        "postroom_oldest_due_seconds",
        "How long the message that has been due longest has waited; 0 when none is due.",
        labels=["mailbox"],
    )
    moment = now()
    for mailbox, name in seen.names.items():
        since = seen.due_since.get(mailbox, moment)
        oldest.add_metric([name], max((moment - since).total_seconds(), 0.0))
    yield oldest


def _lanes(seen: Figures) -> Iterator[Metric]:
    state = GaugeMetricFamily("postroom_lane_state", "1 for the state that a lane is in.", labels=["mailbox", "state"])
    holder = GaugeMetricFamily(
        "postroom_lane_holder", "1 for the worker that holds the lease of a mailbox.", labels=["mailbox", "worker"]
    )
    for lane in seen.lanes:
        name = _name(seen.names, lane.mailbox)
        state.add_metric([name, lane.state], 1)
        if lane.holder:
            holder.add_metric([name, lane.holder], 1)
    yield state
    yield holder
    yield GaugeMetricFamily("postroom_workers", "Workers that are alive.", seen.workers)


def _expiries() -> Iterator[Metric]:
    metric = GaugeMetricFamily(
        "postroom_credential_expiry_days",
        "Days until a credential expires; below 0 it has.",
        labels=["owner", "kind", "credential"],
    )
    rows = Credential.objects.filter(expires_at__isnull=False).select_related("application", "mailbox")
    for row in rows:
        if row.expires_at is not None:
            metric.add_metric(
                [str(row.application or row.mailbox), row.kind, str(row.pk)], (row.expires_at - now()) / _DAY
            )
    yield metric


def _name(names: dict[int, str], mailbox: int) -> str:
    """A mailbox that is gone, or cannot be looked up, goes by its id."""
    return names.get(mailbox, str(mailbox))
