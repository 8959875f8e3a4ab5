"""The sender or reader for a route. Nothing is connected yet: that is what their `open` is for."""

from __future__ import annotations

from postroom.transports.base import (
    GraphRoute,
    ImapRoute,
    Observer,
    PopRoute,
    Reader,
    ReadRoute,
    Sender,
    SendRoute,
    SmtpRoute,
    nobody,
)
from postroom.transports.graph_read import GraphReader
from postroom.transports.graph_send import GraphSender
from postroom.transports.imap import ImapReader
from postroom.transports.pop3 import PopReader
from postroom.transports.smtp import SmtpSender


def open_sender(route: SendRoute, observer: Observer = nobody) -> Sender:
    """For SMTP or Graph."""
    match route:
        case SmtpRoute():
            return SmtpSender(route, observer)
        case GraphRoute():
            return GraphSender(route, observer)


def open_reader(route: ReadRoute, observer: Observer = nobody) -> Reader:
    """For IMAP, POP3 or Graph."""
    match route:
        case ImapRoute():
            return ImapReader(route, observer)
        case PopRoute():
            return PopReader(route, observer)
        case GraphRoute():
            return GraphReader(route, observer)
