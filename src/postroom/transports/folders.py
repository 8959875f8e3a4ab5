"""Folders by their use (RFC 6154), the same for every protocol, besides folders by name."""

from __future__ import annotations

SENT = "\\Sent"
DRAFTS = "\\Drafts"
TRASH = "\\Trash"
JUNK = "\\Junk"
ARCHIVE = "\\Archive"

# Microsoft Graph, "mailFolder resource type": well-known folder names.
_GRAPH = {
    "inbox": "inbox",
    SENT.lower(): "sentitems",
    DRAFTS.lower(): "drafts",
    TRASH.lower(): "deleteditems",
    JUNK.lower(): "junkemail",
    ARCHIVE.lower(): "archive",
    "sent items": "sentitems",
    "drafts": "drafts",
    "deleted items": "deleteditems",
    "junk email": "junkemail",
    "archive": "archive",
}


def is_special(folder: str) -> bool:
    """Whether it names a use, such as `\\Sent`, and not a folder."""
    return folder.startswith("\\")


def graph_folder(folder: str) -> str:
    """Graph's well-known name of it; an id, or a well-known name already, stays."""
    return _GRAPH.get(folder.lower(), folder)
