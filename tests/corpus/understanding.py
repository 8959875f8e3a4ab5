"""What of the corpus is understood: run over every message, and written as the tables of docs/understanding.md.

Make them with: python tests/corpus/understanding.py
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from postroom.mail.authenticity import Proof, Receiver
from postroom.mail.decisions import Decision, Unclear, approval, decide
from postroom.mail.kinds import Kind, sort
from postroom.mail.message import Message
from postroom.mail.replies import read_reply
from postroom.mail.verdicts import Question, Verdict, judge

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "understanding.md"
MARK = "<!-- From here on made by tests/corpus/understanding.py -->\n"
KEY = b"corpus key"
OWN = {"approvals@contoso.example", "alerts@contoso.example"}
NOW = datetime(2026, 11, 23, 10, 31, tzinfo=UTC)
BOB = "bob.roe@fabrikam.example"
RECEIVER = Receiver("mx.contoso.example", ("contoso.example",))


@dataclass(frozen=True)
class Case:
    """One message: what it is, what was expected, what came out."""

    name: str
    about: dict[str, Any]
    wanted: object
    got: object

    @property
    def right(self) -> bool:
        return self.wanted == self.got

    @property
    def miss(self) -> str:
        return str(self.about.get("miss", ""))


def replies() -> Iterator[Case]:
    """The new words of each version, and the decision."""
    for name, about, message in _corpus("replies"):
        seen = read_reply(message)
        texts = [_words(seen.text), _words(seen.html_text or seen.text)]
        wanted = [_words(about["text"]), _words(about.get("html_text", about["text"]))]
        decision = decide(seen.versions, approval(about["language"]))
        yield Case(name, about, (wanted, about["decides"]), (texts, _spoken(decision)))


def bounces() -> Iterator[Case]:
    """Kind, failures and ids; what is no bounce has its kind alone."""
    for name, about, message in _corpus("bounces"):
        seen = sort(message, OWN, ())
        failures = (
            [f"{one.recipient} {one.severity} {one.status}".strip() for one in seen.bounce.failures]
            if (seen.bounce)
            else []
        )
        ids = list(seen.bounce.message_ids) if seen.bounce else []
        wanted = (about.get("is", Kind.BOUNCE), about["failures"], about["ids"])
        yield Case(name, about, wanted, (seen.kind, failures, ids))


def robots() -> Iterator[Case]:
    """The kind of program, or `person`."""
    for name, about, message in _corpus("autoreplies"):
        seen = sort(message, OWN, ())
        yield Case(name, about, about["is"], seen.automatic.robot if seen.automatic else "person")


def forged() -> Iterator[Case]:
    """Treatment and reason."""
    for name, about, message in _corpus("forged"):
        verdict = verdict_on(message)
        got = (verdict.treatment.name, verdict.reason.name if verdict.reason else "")
        yield Case(name, about, (about["treatment"], about["reason"]), got)


def verdict_on(message: Message) -> Verdict:
    """As the keeper of `QUESTIONS` would judge it."""
    return judge(message, RECEIVER, QUESTIONS.get, [KEY], OWN, NOW)


def _questions() -> Iterator[Question]:
    choices, until = approval("en"), NOW + timedelta(days=1)
    yield Question("open", BOB, choices, until)
    yield Question("danas", "dana@fabrikam.example", choices, until)
    yield Question("tenant", "bob@fabrikam.onmicrosoft.com", choices, until)
    yield Question("decided", BOB, choices, until, decided=True)
    yield Question("spent", BOB, choices, until, spent=True)
    yield Question("over", BOB, choices, NOW - timedelta(seconds=1))
    yield Question("nomail", BOB, choices, until, by_mail=False)
    yield Question("strong", BOB, choices, until, proof=Proof.DMARC)


QUESTIONS = {question.id: question for question in _questions()}


def _corpus(part: str) -> Iterator[tuple[str, dict[str, Any], Message]]:
    listed = tomllib.loads((HERE / part / "expected.toml").read_text(encoding="utf-8"))
    for name, about in listed.items():
        yield name, about, Message((HERE / part / f"{name}.eml").read_bytes())


def _words(text: str) -> str:
    return " ".join(text.split())


def _spoken(decision: Decision | Unclear) -> str:
    if isinstance(decision, Unclear):
        return f"unclear: {decision.name.lower()}"
    return f"{decision.choice} {decision.to}".strip()


def as_markdown() -> str:
    """All tables."""
    return "\n".join([*_replies(), *_bounces(), *_robots(), *_forged()])


def _replies() -> Iterator[str]:
    cases = list(replies())
    shaped = [case for case in cases if not case.name.startswith(("hard-", "miss-"))]
    languages = list(dict.fromkeys(case.about["language"] for case in shaped))
    clients = list(dict.fromkeys(case.about["client"] for case in shaped))
    yield from _head("Replies, by mail program and language", shaped)
    yield from _row("program", *languages)
    yield from _row(*["---"] * (len(languages) + 1))
    for client in clients:
        cells = [
            _share([case for case in shaped if (case.about["client"], case.about["language"]) == (client, language)])
            for language in languages
        ]
        yield from _row(client, *cells)
    yield ""
    rest = [case for case in cases if case not in shaped]
    yield from _listed("Replies, the awkward ones", rest, lambda case: case.got[1])  # type: ignore[index]


def _bounces() -> Iterator[str]:
    cases = list(bounces())

    def said(case: Case) -> str:
        kind, failures, _ = case.got  # type: ignore[misc]
        return ", ".join(failures) or kind

    yield from _listed("Bounces", cases, said)


def _robots() -> Iterator[str]:
    yield from _listed("Automatic replies", list(robots()), lambda case: case.got)


def _listed(title: str, cases: list[Case], said: Any) -> Iterator[str]:
    yield from _head(title, cases)
    yield from _row("message", "from", "language", "understood as", "right", "if not, why")
    yield from _row(*["---"] * 6)
    for case in cases:
        source = case.about.get("client") or case.about.get("server", "")
        yield from _row(
            case.name, source, case.about["language"], str(said(case)), "yes" if case.right else "**no**", case.miss
        )
    yield ""


def _forged() -> Iterator[str]:
    cases = list(forged())
    accepted = sum(case.got[0] == "DECIDE" for case in cases)  # type: ignore[index]
    yield f"## Forged and invalid replies: {accepted} of {len(cases)} accepted"
    yield ""
    yield from _row("message", "what it tries", "becomes", "reason")
    yield from _row(*["---"] * 4)
    for case in cases:
        treatment, reason = case.got  # type: ignore[misc]
        yield from _row(case.name, case.about["tries"], treatment.lower(), reason.lower().replace("_", " "))


def _head(title: str, cases: list[Case]) -> Iterator[str]:
    yield f"## {title}: {_share(cases)} right"
    yield ""


def _share(cases: list[Case]) -> str:
    return f"{sum(case.right for case in cases)}/{len(cases)}"


def _row(*cells: str) -> Iterator[str]:
    yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK + as_markdown() + "\n", encoding="utf-8")
