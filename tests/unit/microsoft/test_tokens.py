"""The token source: one request however many wait, renewal in time, force, and falling over to the next credential."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.microsoft.clouds import clouds
from postroom.microsoft.identity import ApplicationIdentity, ClientSecret, FederatedFile, ManagedIdentity
from postroom.microsoft.tokens import TokenSource

EXCHANGE, GRAPH = "https://outlook.office365.com", "https://graph.microsoft.com"
ONE = ApplicationIdentity(clouds()["global"], "Contoso.com", "AAAA", (ClientSecret("1", "x"),))
TWO = replace(ONE, credentials=(ClientSecret("1", "x"), ClientSecret("2", "y")))
EXPIRED = Answer(Service.ENTRA, Step.TOKEN, "AADSTS7000222", "expired", enhanced="invalid_client", status=401)
BUSY = Answer(Service.ENTRA, Step.TOKEN, "HTTP429", "busy", status=429, retry_after=60)
DOWN = Answer(Service.NETWORK, Step.TOKEN, "timeout", "no answer")


@dataclass
class Entra:
    """Counts what it is asked and gives numbered tokens of an hour, unless a credential is in `refuse`."""

    now: float = 1_000_000.0
    lifetime: float = 3600.0
    asked: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[str, Answer] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(self, identity, credential, resource) -> AccessToken:
        self.asked.append((credential.id, resource))
        self.arrived.set()
        assert self.gate.wait(10)
        if credential.id in self.refuse:
            raise Refused(self.refuse[credential.id])
        return AccessToken(f"token-{len(self.asked)}", self.now + self.lifetime, Claims())

    def clock(self) -> float:
        return self.now


@pytest.fixture
def entra() -> Entra:
    return Entra()


@pytest.fixture
def source(entra) -> TokenSource:
    return TokenSource(ask=entra, clock=entra.clock)


def _answer(source, identity=ONE, resource=EXCHANGE, **options) -> Answer:
    with pytest.raises(Refused) as caught:
        source.get(identity, resource, **options)
    return caught.value.answer


def _together(entra, work, count=16) -> list[object]:
    """Runs `work` in threads that all wait while the first request is held at Entra."""
    entra.arrived.clear()
    entra.gate.clear()
    started = threading.Barrier(count + 1)

    def run() -> object:
        started.wait(10)
        try:
            return work()
        except Refused as refused:
            return refused.answer

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(run) for _ in range(count)]
        started.wait(10)
        assert entra.arrived.wait(10)
        entra.gate.set()
        return [future.result(10) for future in futures]


def test_kept_per_application_and_resource(entra, source):
    first = source.get(ONE, EXCHANGE)
    assert source.get(ONE, EXCHANGE) is first
    assert source.get(replace(ONE, tenant="CONTOSO.com", client_id="aaaa"), EXCHANGE) is first
    assert source.get(ONE, GRAPH) is not first
    assert source.get(replace(ONE, tenant="fabrikam.com"), EXCHANGE) is not first
    assert source.get(replace(ONE, cloud=clouds()["china"]), EXCHANGE) is not first
    assert len(entra.asked) == 4


def test_many_who_wait_ask_once(entra, source):
    tokens = _together(entra, lambda: source.get(ONE, EXCHANGE))
    assert len({token.value for token in tokens}) == 1
    assert len(entra.asked) == 1


def test_many_who_wait_share_a_refusal(entra, source):
    entra.refuse["1"] = EXPIRED
    answers = _together(entra, lambda: source.get(ONE, EXCHANGE))
    assert {answer.code for answer in answers} == {"AADSTS7000222"}
    assert len(entra.asked) == 1


@pytest.mark.parametrize(("lifetime", "early"), [(3600, 300), (600, 60), (10, 1)])
def test_renewed_five_minutes_or_a_tenth_before_its_end(entra, source, lifetime, early):
    entra.lifetime = lifetime
    first = source.get(ONE, EXCHANGE)
    entra.now += lifetime - early - 0.5
    assert source.get(ONE, EXCHANGE) is first
    entra.now += 0.5
    assert source.get(ONE, EXCHANGE) is not first


def test_while_one_renews_early_the_others_go_on_with_what_they_have(entra, source):
    first = source.get(ONE, EXCHANGE)
    entra.now += 3400
    entra.arrived.clear()
    entra.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(source.get, ONE, EXCHANGE)
        assert entra.arrived.wait(10)
        assert source.get(ONE, EXCHANGE) is first
        entra.gate.set()
        assert renewing.result(10) is not first


def test_failed_early_renewal_is_no_failure_until_the_token_ends(entra, source):
    first = source.get(ONE, EXCHANGE)
    entra.refuse["1"] = DOWN
    entra.now += 3400
    assert source.get(ONE, EXCHANGE) is first
    entra.now += 201
    assert _answer(source) == DOWN


def test_early_renewal_that_fails_is_not_tried_by_every_caller(entra, source):
    source.get(ONE, EXCHANGE)
    entra.refuse["1"] = DOWN
    entra.now += 3400
    for _ in range(5):
        source.get(ONE, EXCHANGE)
    assert len(entra.asked) == 2


def test_force_asks_again_and_the_new_token_is_kept(entra, source):
    first = source.get(ONE, EXCHANGE)
    second = source.get(ONE, EXCHANGE, force=True)
    assert second is not first
    assert source.get(ONE, EXCHANGE) is second


def test_many_forces_at_once_ask_once(entra, source):
    first = source.get(ONE, EXCHANGE)
    tokens = _together(entra, lambda: source.get(ONE, EXCHANGE, force=True))
    assert len({token.value for token in tokens}) == 1
    assert tokens[0] is not first
    assert len(entra.asked) == 2


def test_forced_token_is_not_forced_again_at_once(entra, source):
    """A mailbox that refuses every token must not make a request to Entra of every mail."""
    source.get(ONE, EXCHANGE)
    second = source.get(ONE, EXCHANGE, force=True)
    for _ in range(20):
        assert source.get(ONE, EXCHANGE, force=True) is second
    entra.now += 11
    assert source.get(ONE, EXCHANGE, force=True) is not second
    assert len(entra.asked) == 3


def test_refusal_is_remembered_a_few_seconds(entra, source):
    entra.refuse["1"] = EXPIRED
    for _ in range(5):
        assert _answer(source) == EXPIRED
    assert len(entra.asked) == 1
    entra.now += 6
    del entra.refuse["1"]
    source.get(ONE, EXCHANGE)


def test_force_asks_again_after_a_refusal(entra, source):
    """Somebody mended the set-up and tests again at once."""
    entra.refuse["1"] = EXPIRED
    _answer(source)
    del entra.refuse["1"]
    source.get(ONE, EXCHANGE, force=True)


def test_retry_after_is_kept_even_by_force_and_counts_down(entra, source):
    entra.refuse["1"] = BUSY
    assert _answer(source).retry_after == 60
    del entra.refuse["1"]
    entra.now += 20
    assert _answer(source, force=True).retry_after == 40
    assert len(entra.asked) == 1
    entra.now += 40
    source.get(ONE, EXCHANGE)


def test_falls_over_to_the_next_credential_and_tells(entra):
    told = []
    source = TokenSource(
        ask=entra,
        clock=entra.clock,
        on_refused=lambda credential, code: told.append(("refused", credential, code)),
        on_used=lambda credential: told.append(("used", credential)),
    )
    entra.refuse["1"] = EXPIRED
    source.get(TWO, EXCHANGE)
    assert told == [("refused", "1", "AADSTS7000222"), ("used", "2")]


@pytest.mark.parametrize(
    "answer",
    [
        EXPIRED,
        replace(EXPIRED, code="AADSTS7000215"),
        replace(EXPIRED, code="AADSTS700027"),
        Answer(Service.ENTRA, Step.TOKEN, "credential", "the token file is empty"),
    ],
)
def test_what_is_about_the_credential_falls_over(entra, source, answer):
    entra.refuse["1"] = answer
    source.get(TWO, EXCHANGE)
    assert [credential for credential, _ in entra.asked] == ["1", "2"]


@pytest.mark.parametrize(
    "answer",
    [
        BUSY,
        DOWN,
        Answer(Service.ENTRA, Step.TOKEN, "AADSTS700016", "no app", enhanced="unauthorized_client", status=400),
        Answer(Service.ENTRA, Step.TOKEN, "AADSTS53003", "blocked", enhanced="access_denied", status=400),
    ],
)
def test_what_is_not_about_the_credential_does_not(entra, source, answer):
    entra.refuse["1"] = answer
    assert _answer(source, TWO).code == answer.code
    assert [credential for credential, _ in entra.asked] == ["1"]


def test_when_all_are_refused_the_first_is_told(entra, source):
    entra.refuse = {"1": EXPIRED, "2": replace(EXPIRED, code="AADSTS7000215")}
    assert _answer(source, TWO).code == "AADSTS7000222"


def test_changed_credential_gets_its_own_token_at_once(entra, source):
    entra.refuse["1"] = EXPIRED
    _answer(source)
    entra.refuse.clear()
    source.get(replace(ONE, credentials=(ClientSecret("1", "new"),)), EXCHANGE)
    assert len(entra.asked) == 2


@pytest.mark.parametrize("tenant", ["", "contoso.com"])
def test_forget_drops_all_resources(entra, source, tenant):
    before = [source.get(ONE, resource) for resource in (EXCHANGE, GRAPH)]
    source.forget("aaaa", tenant)
    after = [source.get(ONE, resource) for resource in (EXCHANGE, GRAPH)]
    assert not {token.value for token in before} & {token.value for token in after}


def test_forget_leaves_other_tenants_alone(source):
    token = source.get(ONE, EXCHANGE)
    source.forget("aaaa", "fabrikam.com")
    source.forget("bbbb")
    assert source.get(ONE, EXCHANGE) is token


def test_failing_listener_costs_no_token(entra, caplog):
    def broken(*_):
        raise RuntimeError("database gone")

    entra.refuse["1"] = EXPIRED
    source = TokenSource(ask=entra, clock=entra.clock, on_refused=broken, on_used=broken)
    assert source.get(TWO, EXCHANGE)
    assert "database gone" in caplog.text


def test_no_credential_says_so(source):
    answer = _answer(source, replace(ONE, credentials=()))
    assert answer.code == "credential"
    assert "secret" in answer.text


@given(st.text(max_size=20), st.text(max_size=20))
def test_fingerprint_tells_credentials_apart_and_shows_none(first, second):
    one, other = (replace(ONE, credentials=(ClientSecret("1", value),)) for value in (first, second))
    assert (one.fingerprint() == other.fingerprint()) == (first == second)
    kinds = (ClientSecret("1", first), FederatedFile("1", first), ManagedIdentity("1", first))
    assert len({replace(ONE, credentials=(kind,)).fingerprint() for kind in kinds}) == 3
