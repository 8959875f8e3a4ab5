"""What a person newly wrote in a reply: less quotes, signatures, disclaimers and what programs add.

Cut too much, and the person is asked again; cut too little, and words of ours are read as theirs. So where a line
may be either, it is cut. Never raises, and takes time in proportion to the length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postroom.mail import hypertext
from postroom.mail.message import Message
from postroom.mail.reply_words import (
    BANNER,
    CLOSING,
    DATED,
    DISCLAIMER,
    HEADER_OTHER,
    HEADER_SENDER,
    SAID,
    SAID_BEGINS,
    SENT_FROM,
    SEPARATOR,
)

# Zero-width and direction marks that programs put between letters, also to hide words from a reader like this one.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)
_QUOTED = re.compile(r"\s?[>|\uff1e]")
_INITIALED = re.compile(r"[A-Z]{1,4}>+(?:\s|$)")
_SIGNED = re.compile(r"\s*(?:--|__|\u2014\u2014?|\u2013\u2013)\s*")
_LONGEST = 100_000
_ATTRIBUTION_LINES = 4
_ATTRIBUTION_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` is empty when nothing new was found."""

    text: str
    """From the plain part, or from the HTML part where that is the only one."""
    html_text: str = ""
    """From the HTML part, where there are both. A reader of decisions looks at both, as they may differ."""
    quoted: bool = False
    """Whether something quoted was left out."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Each different one."""
        return tuple(dict.fromkeys(text for text in (self.text, self.html_text) if text))


def read_reply(message: Message) -> Reply:
    """The new words of the message."""
    plain, html = message.text(), message.html()
    from_plain = new_words(plain)
    if not html:
        return Reply(from_plain.text, quoted=from_plain.quoted)
    seen = hypertext.words(html)
    from_html = new_words(seen.text)
    quoted = from_plain.quoted or from_html.quoted or seen.quoted
    if not plain.strip():
        return Reply(from_html.text, quoted=quoted)
    return Reply(from_plain.text, from_html.text, quoted)


def new_words(text: str) -> Reply:
    """Of plain text."""
    lines = [line.strip() for line in _UNSEEN.sub("", text[:_LONGEST]).replace("\u00a0", " ").splitlines()]
    kept, quoted = _less_quotes(_less_banner(lines))
    return Reply(_paragraphs(_less_ending(kept)), quoted=quoted)


def _less_banner(lines: list[str]) -> list[str]:
    """Less the first paragraph, where that is the receiving server's warning."""
    start = next((at for at, line in enumerate(lines) if line), len(lines))
    if start == len(lines) or not BANNER.match(lines[start]):
        return lines
    end = next((at for at in range(start, len(lines)) if not lines[at]), start + 1)
    return lines[end:]


def _less_quotes(lines: list[str]) -> tuple[list[str], bool]:
    kept: list[str] = []
    quoted = False
    at = 0
    while at < len(lines):
        line = lines[at]
        if _QUOTED.match(line) or _INITIALED.match(line):
            quoted = True
            at += 1
            continue
        attribution = _attribution(lines, at)
        if attribution:
            quoted = True
            # Above lines that are marked as quoted, more of the person's own may follow; else all below is quoted.
            if not _marked_below(lines, at + attribution):
                break
            at += attribution
            continue
        if (len(line) <= _ATTRIBUTION_LENGTH and SEPARATOR.fullmatch(line)) or _header_block(lines, at):
            quoted = True
            break
        kept.append(line)
        at += 1
    return kept, quoted


def _attribution(lines: list[str], at: int) -> int:
    """How many lines the attribution that begins here has; 0 when none does."""
    joined = ""
    for count, line in enumerate(lines[at : at + _ATTRIBUTION_LINES], 1):
        if not line or _QUOTED.match(line):
            return 0
        joined = f"{joined} {line}".strip()
        if len(joined) > _ATTRIBUTION_LENGTH:
            return 0
        if joined.endswith((":", "\uff1a")) and _says_who_wrote(joined, broken=count > 1):
            return count
    return 0


def _says_who_wrote(line: str, *, broken: bool) -> bool:
    if SAID_BEGINS.match(line):
        return bool(SAID.search(line) or DATED.match(line))
    return not broken and bool(SAID.search(line))


def _marked_below(lines: list[str], at: int) -> bool:
    return any(_QUOTED.match(line) is not None for line in [line for line in lines[at : at + 4] if line][:1])


def _header_block(lines: list[str], at: int) -> bool:
    """From and at least one more of the header words within the next lines."""
    if not HEADER_SENDER.fullmatch(lines[at]):
        return False
    near = [line for line in lines[at + 1 : at + 6] if line][:3]
    return any(HEADER_OTHER.fullmatch(line) for line in near)


def _less_ending(lines: list[str]) -> list[str]:
    """Less signature, disclaimer, and what a telephone adds."""
    kept: list[str] = []
    for line in lines:
        written = any(kept)
        if DISCLAIMER.match(line) or (_SIGNED.fullmatch(line) and line):
            break
        if SENT_FROM.fullmatch(line):
            if written:
                break
            continue
        if written and CLOSING.fullmatch(line):
            break
        kept.append(line)
    return kept


def _paragraphs(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
