"""What each kind of step does at Microsoft, and what it brings to be kept.

Most steps just make their calls. Those that bring an id or a credential are told apart here, and so are the two that
Microsoft would do twice without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from postroom.microsoft.answers import Answer, Refused, Service
from postroom.microsoft.answers import Step as Conversation
from postroom.tenant.calls import Call, Cmdlet, GraphCall
from postroom.tenant.exchange import RestExchange
from postroom.tenant.graph import Graph
from postroom.tenant.local import Errands
from postroom.tenant.looking import thumbprint
from postroom.tenant.plan_directory import MARK_TAG
from postroom.tenant.progress import Progress
from postroom.tenant.standing import Standing, standing
from postroom.tenant.steps import Plan, Step
from postroom.tenant.web import NoAnswer

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The public part of a certificate, as Graph takes it."""

    thumbprint: str
    der: str
    """Base64 of the DER form."""
    name: str


class Store(Protocol):
    """What steps bring that is to be kept. Each verb is called in the thread that owns the tables, and is done when it
    returns."""

    def learnt(self, ids: Mapping[str, str]) -> None:
        """Ids by which further steps go, of things that were made just now."""

    def secret_ids(self) -> frozenset[str]:
        """Key ids of the secrets whose values are stored."""

    def keep_secret(self, key_id: str, value: str, ends_at: str) -> None: ...

    def certificate(self, *, fresh: bool) -> Uploaded:
        """The certificate to be uploaded: the one in use, or with `fresh` one that is made now."""

    def keep_federated(self) -> None: ...

    def forget_credential(self, key_id: str) -> None: ...

    def save_configuration(self, address: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what was just made may take to be seen everywhere; seconds."""

    spreading: float = 900.0
    first_pause: float = 2.0
    longest_pause: float = 30.0


@dataclass
class Deeds:
    """Does the steps of one run."""

    plan: Plan
    known: dict[str, str]
    """Ids and values that stand in calls as `{name}`; grows while steps are done."""
    graph: Graph
    exchange: RestExchange
    store: Store
    errands: Errands[Progress]
    ends_at: Callable[[], datetime]
    """When a secret that is made now ends."""
    interrupted: frozenset[str] = frozenset()
    """Keys of steps that an earlier run began, and of which nobody knows how they ended."""
    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def do(self, step: Step, made: list[Call], *, again: bool) -> str:
        """A sentence on the result; calls that made something are added to `made`. `again`: an attempt got no answer.

        Raises `Refused`, `NoAnswer`, or a `Fault` of what is kept.
        """
        kind, _, rest = step.key.partition(":")
        match kind, rest.partition(":")[0]:
            case "application", "":
                return await self._application(step, again=again)
            case "principal", "":
                return await self._principal(step)
            case "credential", "secret":
                return await self._secret(step, again=again)
            case "credential", "certificate":
                return await self._certificate(fresh=True)
            case "credential", "upload":
                return await self._certificate(fresh=False)
            case "certificate-remove", _:
                return await self._without_certificate(rest)
            case "credential", "federated":
                return await self._federated(step)
            case "configuration", _:
                await self.errands.ask(lambda: self.store.save_configuration(rest))
                return "saved"
        for call in step.calls:
            # "Already" after a call that got no answer: that call did it.
            if await self._call(step, call) is not None or again:
                made.append(call)  # noqa: PERF401 - must hold what was done when the next one fails
        if kind == "credential-remove":
            await self.errands.ask(lambda: self.store.forget_credential(rest))
        return "" if len(made) == len(step.calls) else "was so already"

    async def _call(self, step: Step, call: Call) -> Json | None:
        """The answer; None when it was as it should be already. Waits while what it builds on is still spreading."""
        filled = call.filled(self.known)
        waited, pause = 0.0, self.patience.first_pause
        while True:
            try:
                if isinstance(filled, GraphCall):
                    return await self.graph.call(filled)
                rows = await self.exchange.run(filled)
                return rows[0] if rows else {}
            except NoAnswer:
                raise
            except Refused as refused:
                how = standing(filled, refused.answer)
                if how is Standing.ALREADY or (how is Standing.REFUSED and await self._is_there(filled)):
                    return None
                if how is Standing.REFUSED or waited + pause > self.patience.spreading:
                    raise
                said = refused.answer.text or refused.answer.code
            detail = f"waiting for Microsoft to spread what was made ({waited:.0f} s): {said}"
            self.errands.tell(Progress(step.key, step.title, "waiting", detail))
            await self.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, self.patience.longest_pause)

    async def _is_there(self, call: Call) -> bool:
        """A mailbox whose name is taken may be the very one that a lost answer was about."""
        if isinstance(call, GraphCall) or call.name != "New-Mailbox":
            return False
        address = call.parameters["PrimarySmtpAddress"]
        rows = await self.exchange.find(Cmdlet("Get-Mailbox", {"Identity": address}))
        return any(str(row.get("PrimarySmtpAddress", "")).lower() == address for row in rows)

    # What brings ids that further steps need ---------------------------------------------------------------------

    async def _application(self, step: Step, *, again: bool) -> str:
        """Looks first when an earlier attempt may have made it: Graph makes a second one without a word."""
        data = await self._marked(step) if again or step.key in self.interrupted else None
        if data is None:
            data = await self._call(step, step.calls[0])
        if data is None:
            raise Refused(_no_answer_to_that("the application"))
        await self._learn({"application_id": data["id"], "client_id": data["appId"]})
        return f"client id {data['appId']}"

    async def _marked(self, step: Step) -> Json | None:
        """The application that bears the mark of this set-up, waiting a little for it to be seen."""
        name = str(step.calls[0].body["displayName"]).replace("'", "''")  # type: ignore[union-attr,index]
        mark = MARK_TAG.replace("{mark}", self.known["mark"])
        for pause in (0.0, 2.0, 4.0):
            await self.sleep(pause)
            rows = await self.graph.all(f"/applications?$filter=displayName eq '{name}'&$select=id,appId,tags")
            for row in rows:
                if mark in (row.get("tags") or ()):
                    return row
        return None

    async def _principal(self, step: Step) -> str:
        data = await self._call(step, step.calls[0])
        if data is None:  # a second one for the same application is refused
            filter_ = f"$filter=appId eq '{self.known['client_id']}'&$select=id"
            data = (await self.graph.all(f"/servicePrincipals?{filter_}"))[0]
        await self._learn({"service_principal_id": data["id"]})
        return f"object id {data['id']}"

    async def _learn(self, ids: Mapping[str, str]) -> None:
        self.known.update(ids)
        await self.errands.ask(lambda: self.store.learnt(ids))

    # Credentials -------------------------------------------------------------------------------------------------

    async def _secret(self, step: Step, *, again: bool) -> str:
        """Clears away secrets of ours whose value was lost on the way to the store, then makes one, and stores it."""
        new = any(one.key == "application" for one in self.plan.steps) and "application" not in self.interrupted
        if again or not new:
            await self._remove_lost()
        self.known["credential_end"] = self.ends_at().strftime("%Y-%m-%dT%H:%M:%SZ")
        data = await self._call(step, step.calls[0])
        if data is None:
            raise Refused(_no_answer_to_that("the secret"))
        key_id, value, ends_at = data["keyId"], data["secretText"], data["endDateTime"]
        await self.errands.ask(lambda: self.store.keep_secret(key_id, value, ends_at))
        return f"stored; ends on {str(ends_at)[:10]}"

    async def _remove_lost(self) -> None:
        path = f"/applications/{self.known['application_id']}"
        stored = await self.errands.ask(self.store.secret_ids)
        data = await self.graph.get(f"{path}?$select=passwordCredentials")
        for one in data.get("passwordCredentials") or ():
            if one.get("displayName") == f"Postroom {self.known['mark']}" and one["keyId"] not in stored:
                body = {"keyId": one["keyId"]}
                await self.graph.call(GraphCall("POST", f"{path}/removePassword", body))

    async def _certificate(self, *, fresh: bool) -> str:
        public = await self.errands.ask(lambda: self.store.certificate(fresh=fresh))
        new = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": public.der, "displayName": public.name}
        await self._with_keys(lambda present: [*present, new])
        return f"thumbprint {public.thumbprint}"

    async def _without_certificate(self, gone: str) -> str:
        await self._with_keys(lambda present: [one for one in present if thumbprint(one) != gone])
        await self.errands.ask(lambda: self.store.forget_credential(gone))
        return "removed"

    async def _with_keys(self, change: Callable[[list[Json]], list[Json]]) -> None:
        """A PATCH replaces the whole list, so that all that was there is sent again (facts 3)."""
        path = f"/applications/{self.known['application_id']}"
        present = (await self.graph.get(f"{path}?$select=keyCredentials")).get("keyCredentials") or []
        await self.graph.call(GraphCall("PATCH", path, {"keyCredentials": change(present)}))

    async def _federated(self, step: Step) -> str:
        for call in step.calls:
            await self._call(step, call)
        await self.errands.ask(self.store.keep_federated)
        return "trusted"


def _no_answer_to_that(what: str) -> Answer:
    text = f"Graph says that {what} exists already, and does not say which; plan again"
    return Answer(Service.GRAPH, Conversation.SET_UP, "already", text)
