"""What a run keeps, in the tables: its steps, the ids learnt, the ledger, credentials and configurations."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import transaction

from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.mailboxes import applications, credentials
from postroom.mailboxes import service as mailboxes
from postroom.mailboxes.credentials import CredentialView
from postroom.mailboxes.models import Application
from postroom.mailboxes.values import MailboxData
from postroom.tenant import setups, workers
from postroom.tenant.deeds import Uploaded
from postroom.tenant.engine import UNKNOWN_END
from postroom.tenant.ledger import Entry
from postroom.tenant.looking import moment
from postroom.tenant.models import Made, MadeKind, Run, Setup, ShownPlan
from postroom.tenant.needs import scoped_roles
from postroom.tenant.observed import Observed
from postroom.tenant.plan import read_by, send_by
from postroom.tenant.progress import Progress
from postroom.tenant.steps import Plan, Step
from postroom.tenant.wanted import WantedMailbox

_SIGN_OF_LIFE = timedelta(minutes=5)
_AT_WORK: set[int] = set()
"""Runs that this very process does."""
_PROVIDERS = {("smtp", "pop3"): "microsoft-365-pop3", ("graph", "graph"): "microsoft-365-graph"}
"""How a mailbox sends and reads -> the provider that presets it; all others are the general one's."""
_INCLUDED = {"Mail.ReadWrite": ("Mail.ReadWrite", "Mail.Read")}


class Keeper:
    """`engine.Records` and `deeds.Store` on the tables."""

    def __init__(self, setup: Setup, by: Actor) -> None:
        self._setup, self._by = setup, by
        self._wanted = setups.wanted_of(setup)
        self._run: Run | None = None
        self._new: dict[str, list[int]] = {}
        """Ledger rows that a step of this run has put in."""
        self._seen: Observed | None = None

    # The run ------------------------------------------------------------------------------------------------------

    def begin(self, shown: ShownPlan, plan: Plan) -> Run:
        """A new row for this run. Raises `Fault` when another one is at work."""
        with transaction.atomic():
            Setup.objects.select_for_update().get(pk=self._setup.pk)
            for other in Run.objects.filter(plan__setup=self._setup, finished_at=None):
                if workers.lives(other.worker, other.touched_at, _SIGN_OF_LIFE, here=other.pk in _AT_WORK):
                    raise Fault(
                        f"another apply is at work on {self._setup.name} ({other.worker})",
                        "Wait for it, or end that process.",
                    )
            self._run = Run.objects.create(
                plan=shown,
                by=self._by.name,
                worker=workers.name(),
                steps=[
                    {"key": step.key, "title": step.title, "state": "planned", "detail": "", "diagnosis": None}
                    for step in plan.steps
                ],
            )
        _AT_WORK.add(self._run.pk)
        return self._run

    def close(self) -> None:
        """The run is over, however it ended."""
        if self._run is not None:
            _AT_WORK.discard(self._run.pk)

    def finish(self, trips: Mapping[str, int]) -> Run:
        """Raises `LookupError` when it was not begun."""
        run = self._row()
        run.finished_at, run.trips = now(), dict(trips)
        run.passed = all(step["state"] == "done" for step in run.steps)
        run.save()
        return run

    def interrupted(self) -> frozenset[str]:
        """Steps that an earlier run began, and that did not come to an end that is known."""
        last: dict[str, bool] = {}
        for run in Run.objects.filter(plan__setup=self._setup).order_by("id"):
            for step in run.steps:
                if step["state"] not in {"planned", "skipped"}:
                    open_end = step["state"] in {"running", "waiting"}
                    last[step["key"]] = open_end or step["detail"].startswith(UNKNOWN_END)
        return frozenset(key for key, unknown in last.items() if unknown)

    def began(self, step: Step, making: Sequence[Entry]) -> None:
        with transaction.atomic():
            self._mark(step.key, "running", "", None)
            for entry in making:
                row, is_new = Made.objects.get_or_create(
                    setup=self._setup,
                    kind=entry.kind,
                    remote_id=entry.remote_id,
                    gone_at=None,
                    defaults={"detail": {**entry.detail, **self._before(entry)}},
                )
                if is_new:
                    self._new.setdefault(step.key, []).append(row.pk)

    def _before(self, entry: Entry) -> dict[str, Any]:
        """Of a switch: how it stood, so that it can be put back."""
        box = self._seen.mailboxes.get(entry.remote_id) if self._seen else None
        if entry.kind != MadeKind.SWITCH or box is None:
            return {}
        stood = {
            "SmtpClientAuthenticationDisabled": box.smtp_auth_off,
            "ImapEnabled": box.imap,
            "PopEnabled": box.pop,
        }
        return {"before": {name: stood[name] for name in entry.detail["switches"]}}

    def ended(self, progress: Progress, not_made: Sequence[Entry] = ()) -> None:
        with transaction.atomic():
            names = [entry.remote_id for entry in not_made]
            new = self._new.pop(progress.key, [])
            Made.objects.filter(pk__in=new, remote_id__in=names).delete()
            diagnosis = progress.diagnosis.to_json() if progress.diagnosis else None
            self._mark(progress.key, progress.state, progress.detail, diagnosis)

    def _mark(self, key: str, state: str, detail: str, diagnosis: dict[str, Any] | None) -> None:
        run = self._row()
        for step in run.steps:
            if step["key"] == key:
                step |= {"state": state, "detail": detail, "diagnosis": diagnosis}
        run.save(update_fields=["steps", "touched_at"])

    def _row(self) -> Run:
        if self._run is None:
            raise LookupError("the run was not begun")
        return self._run

    # Ids ----------------------------------------------------------------------------------------------------------

    def observed(self, observed: Observed) -> None:
        """Brings the set-up's ids up to what was seen; an application that bears our mark is ours, also when the run
        that made it was killed before it could say so."""
        self._seen, seen = observed, observed.application
        self._setup.tenant_id = observed.tenant_id
        self._setup.client_id = seen.client_id if seen else ""
        self._setup.application_id = seen.id if seen else ""
        self._setup.service_principal_id = observed.principal.id if observed.principal else ""
        self._setup.save()
        if seen and observed.made_here:
            self._made(MadeKind.APPLICATION, seen.id)
        if seen:
            self.application()

    def known(self) -> dict[str, str]:
        """What stands in calls as `{name}`."""
        ids = {
            "mark": self._setup.mark,
            "client_id": self._setup.client_id,
            "application_id": self._setup.application_id,
            "service_principal_id": self._setup.service_principal_id,
        }
        return {name: value for name, value in ids.items() if value}

    def learnt(self, ids: Mapping[str, str]) -> None:
        with transaction.atomic():
            for name, value in ids.items():
                setattr(self._setup, name, value)
            self._setup.save()
            if "application_id" in ids:
                self._made(MadeKind.APPLICATION, ids["application_id"])
            elif "service_principal_id" in ids:
                self._made(MadeKind.PRINCIPAL, ids["service_principal_id"])
            self.application()

    def _made(self, kind: str, remote_id: str, credential_id: int | None = None) -> None:
        Made.objects.get_or_create(
            setup=self._setup,
            kind=kind,
            remote_id=remote_id,
            gone_at=None,
            defaults={"credential_id": credential_id},
        )

    def application(self) -> Application:
        """Postroom's own row of the application, with the set-up's ids."""
        roles = [one for role in scoped_roles(self._wanted) for one in _INCLUDED.get(role, (role,))]
        return applications.keep(
            self._setup.cloud,
            setups.tenants_of(self._setup),
            self._setup.client_id,
            self._by,
            name=self._wanted.application,
            object_id=self._setup.application_id,
            service_principal_id=self._setup.service_principal_id,
            scoped_roles=roles,
        )

    # Credentials --------------------------------------------------------------------------------------------------

    def ends_at(self) -> datetime:
        return now() + timedelta(days=self._wanted.credential.days)

    def secret_ids(self) -> frozenset[str]:
        rows = Made.objects.filter(setup=self._setup, kind=MadeKind.SECRET, gone_at=None)
        return frozenset(rows.values_list("remote_id", flat=True))

    @transaction.atomic
    def keep_secret(self, key_id: str, value: str, ends_at: str) -> None:
        """Stores it, sealed. It is the first to be used unless a good one is there; what is over makes room."""
        owner = self.application()
        self.make_room(owner)
        view = credentials.add(owner, "secret", value, moment(ends_at), self._by)
        self._made(MadeKind.SECRET, key_id, view.id)
        self._promote(owner, view)

    @transaction.atomic
    def certificate(self, *, fresh: bool) -> Uploaded:
        """Raises `LookupError` when there is none to use, and none is to be made."""
        owner = self.application()
        if not fresh:
            stored = credentials.list_of(owner)
            view = next(one for one in stored if one.kind == "certificate" and not _is_over(one))
        else:
            self.make_room(owner)
            view = credentials.generate_certificate(owner, self._by, days=self._wanted.credential.days)
            self._promote(owner, view)
        thumbprint = view.hint.removeprefix("thumbprint ")
        self._made(MadeKind.CERTIFICATE, thumbprint, view.id)
        der = x509.load_pem_x509_certificate(view.public_certificate.encode()).public_bytes(Encoding.DER)
        return Uploaded(thumbprint, base64.b64encode(der).decode(), f"Postroom {self._setup.mark}")

    @transaction.atomic
    def keep_federated(self) -> None:
        owner = self.application()
        if not any(view.kind == "federated-file" for view in credentials.list_of(owner)):
            self.make_room(owner)
            view = credentials.add(owner, "federated-file", self._wanted.credential.token_file, None, self._by)
            self._made(MadeKind.FEDERATED, f"postroom-{self._setup.mark}", view.id)

    @transaction.atomic
    def forget_credential(self, key_id: str) -> None:
        for row in Made.objects.filter(setup=self._setup, remote_id=key_id, gone_at=None):
            owner = setups.application_of(self._setup)
            if owner and any(view.id == row.credential_id for view in credentials.list_of(owner)):
                credentials.remove(row.credential_id or 0, self._by)
            row.gone_at = now()
            row.save()

    def _promote(self, owner: Application, new: CredentialView) -> None:
        """Puts a new credential first, unless one that works is: that one is replaced only when the new is proved."""
        if not any(_is_good(view) for view in credentials.list_of(owner) if view.id != new.id):
            credentials.promote(new.id, self._by)

    def make_room(self, owner: Application) -> None:
        """Two credentials are kept side by side: whatever is over goes, so that a third finds its place."""
        stored = credentials.list_of(owner)
        over = [view for view in stored if not _is_good(view)]
        if len(stored) >= credentials.MOST:
            for view in over[: len(stored) - credentials.MOST + 1]:
                credentials.remove(view.id, self._by)

    # The mailbox configuration ------------------------------------------------------------------------------------

    def save_configuration(self, address: str) -> None:
        """Raises `Invalid` when the mailbox cannot be kept like this."""
        wanted = next(one for one in self._wanted.mailboxes if one.address == address)
        row = setups.configuration_of(self._setup, address)
        application = self.application()
        data = mailboxes.data_of(row) if row else self._new_mailbox(wanted)
        sends, reads = send_by(self._wanted), read_by(self._wanted)
        data = replace(
            data,
            provider=data.provider if row else _PROVIDERS.get((sends, reads), "microsoft-365"),
            send_by=sends,
            read_by=reads,
            read_inbox=reads != "none",
            sign_in_by="oauth",
            cloud=self._setup.cloud,
            tenant=application.tenant,
            client_id=self._setup.client_id,
            object_id=self._setup.application_id,
            service_principal_id=self._setup.service_principal_id,
        )
        mailboxes.save(data, self._by, row.pk if row else None)

    def _new_mailbox(self, wanted: WantedMailbox) -> MailboxData:
        name = wanted.name or wanted.address
        taken = any(one.name.lower() == name.lower() for one in mailboxes.list_mailboxes(name))
        return MailboxData(name=wanted.address if taken else name, address=wanted.address, display_name=wanted.name)


def _is_over(view: CredentialView) -> bool:
    return bool(view.fault) or (view.expires_at is not None and view.expires_at <= now())


def _is_good(view: CredentialView) -> bool:
    return not _is_over(view) and not view.refused_with
