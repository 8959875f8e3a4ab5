"""The words of an HTML message as lines, less what mail programs mark as quoted or as a signature.

Each program wraps the message that it answers in an element of its own; these marks are surer than any words.
Hidden text is left out, as the person who sent the message did not see it either.

nh3 reads the HTML first, as browsers do, and writes it anew: what comes out is well-formed, which `html.parser` needs
to be quick. Elements in thousands of others cost any HTML5 parser the square of their number, and are not read at all.
Never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

import nh3

_BLOCKS = re.compile(
    r"address|article|blockquote|center|d[dlt]|div|fieldset|footer|form|h[1-6r]|header|li|main|[ou]l|p|pre|section"
    r"|table|tr"
)
_VOID = re.compile(r"br|col|hr|img|wbr")
_KEPT = nh3.ALLOWED_TAGS | {"font", "form", "fieldset", "footer", "section", "main", "address", "tt", "big", "label"}
_MARKS = {"class", "id", "style", "hidden"}
_UNSEEN = {"script", "style", "title", "head", "template", "noscript", "object", "svg"}
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
# Of these, HTML lets the end tag be left out, or there is none.
_ENDLESS = re.compile(
    r"area|base|br|col|dd|dt|embed|hr|img|input|li|link|meta|option|p|source|t[dhr]|wbr", re.IGNORECASE
)
_DEEPEST = 500
# The element holds the quoted message, or the program's own signature.
_QUOTE_CLASSES = re.compile(
    r"(?:^|\s)(?:gmail_quote|gmail_quote_container|gmail_extra|yahoo_quoted|moz-cite-prefix|moz-forward-container"
    r"|protonmail_quote|tutanota_quote|zmail_extra|ydp\w*yahoo-quoted|quote)(?:\s|$)",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"(?:^|\s)(?:gmail_signature|moz-signature|AppleMailSignature|ms-outlook-mobile-signature|Signature|signature"
    r"|protonmail_signature_block|ydp\w*signature|yahoo-signature)(?:\s|$)"
)
# From here on, all is the quoted message: Outlook in its kinds, Zimbra.
_FROM_HERE = re.compile(
    r"(?:^|\s)(?:x_)?(?:divRplyFwdMsg|appendonsend|mail-editor-reference-message-container|zwchr"
    r"|OLK_SRC_BODY_SECTION)(?:\s|$)"
)
_OUTLOOK_RULE = re.compile(r"border-top:\s*(?:1\.0pt\s+)?solid\s+(?:#?E1E1E1|#?B5C4DF)", re.IGNORECASE)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])"
    r"|mso-hide\s*:\s*all",
    re.IGNORECASE,
)
_MOST = 500_000
_BLANKS = re.compile(r"[ \t\r\n\f]+")


@dataclass(frozen=True, slots=True)
class Words:
    """Lines to read, and whether something quoted was left out."""

    text: str
    quoted: bool


def words(html: str) -> Words:
    """What the person wrote, as far as marks tell; `replies` looks at the lines after this."""
    html = html[:_MOST]
    if _too_deep(html):
        return Words("", quoted=True)
    reader = _Reading()
    reader.feed(
        nh3.clean(
            html,
            tags=_KEPT - _UNSEEN,
            clean_content_tags=_UNSEEN,
            attributes={"*": _MARKS},
            generic_attribute_prefixes=set(),
            link_rel=None,
        )
    )
    reader.close()
    return Words(reader.lines(), reader.quoted)


def _too_deep(html: str) -> bool:
    depth = 0
    for tag in _TAG.finditer(html):
        if not _ENDLESS.fullmatch(tag.group(2)):
            depth = max(depth - 1, 0) if tag.group(1) else depth + 1
        if depth > _DEEPEST:
            return True
    return False


class _Reading(HTMLParser):
    """Keeps the open elements; text below a left-out one is not taken."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.quoted = False
        self._open: list[str] = []
        self._left_out_at: int | None = None
        self._ended = False
        self._pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._ended:
            return
        given = {name: value or "" for name, value in attrs}
        if _begins_quote(given):
            self.quoted = self._ended = True
            return
        if _BLOCKS.fullmatch(tag) or tag == "br":
            self._pieces.append("\n")
        if _VOID.fullmatch(tag):
            return
        self._open.append(tag)
        if self._left_out_at is None and self._is_left_out(tag, given):
            self._left_out_at = len(self._open)

    def handle_endtag(self, tag: str) -> None:
        if self._ended or tag not in self._open:
            return
        while self._open.pop() != tag:
            pass
        if self._left_out_at is not None and len(self._open) < self._left_out_at:
            self._left_out_at = None
        if _BLOCKS.fullmatch(tag):
            self._pieces.append("\n")
        elif tag in {"td", "th"}:
            self._pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._ended and self._left_out_at is None:
            self._pieces.append(data if "pre" in self._open else _BLANKS.sub(" ", data))

    def lines(self) -> str:
        """One line for each block or break; blocks that hold no words leave one empty line at most."""
        text = "".join(self._pieces)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()

    def _is_left_out(self, tag: str, given: dict[str, str]) -> bool:
        names = f"{given.get('class', '')} {given.get('id', '')}"
        if tag == "blockquote" or _QUOTE_CLASSES.search(names):
            self.quoted = True
            return True
        return "hidden" in given or bool(_SIGNATURE.search(names)) or bool(_HIDDEN.search(given.get("style", "")))


def _begins_quote(given: dict[str, str]) -> bool:
    return bool(_FROM_HERE.search(given.get("id", "")) or _OUTLOOK_RULE.search(given.get("style", "")))
