"""Signing in to the lab's mail servers, and the switches of its control API that decide whether one may."""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib

from support.dialogue import Wire
from support.lab import RunningLab


def xoauth2(user: str, token: str) -> str:
    """The SASL string before base64 (facts 1.5)."""
    return f"user={user}\x01auth=Bearer {token}\x01\x01"


def encoded(user: str, token: str) -> str:
    return base64.b64encode(xoauth2(user, token).encode()).decode()


class MailAccess:
    """The lab seen from the ready-made application and its mailbox."""

    def __init__(self, lab: RunningLab) -> None:
        self.lab = lab
        self.mailbox = lab.application["mailbox"]

    def sasl(self, user: str = "", token: str = "") -> str:
        return encoded(user or self.mailbox, token or self.lab.token())

    # Connections.

    def wire(self, protocol: str) -> Wire:
        port = int(self.lab.cloud[f"{protocol}_port"])
        return Wire(port, self.lab.ssl_context(), implicit=protocol != "smtp")

    def smtp(self, *, signed_in: bool = True, user: str = "") -> smtplib.SMTP:
        client = smtplib.SMTP("localhost", int(self.lab.cloud["smtp_port"]), timeout=30)
        client.ehlo("client.example")
        client.starttls(context=self.lab.ssl_context())
        client.ehlo("client.example")
        if signed_in:
            code, text = client.docmd("AUTH", f"XOAUTH2 {self.sasl(user)}")
            assert code == 235, text
        return client

    def imap(self, user: str = "") -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("localhost", int(self.lab.cloud["imap_port"]), ssl_context=self.lab.ssl_context())
        text = xoauth2(user or self.mailbox, self.lab.token())
        client.authenticate("XOAUTH2", lambda _: text.encode())
        return client

    def pop(self) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL("localhost", int(self.lab.cloud["pop_port"]), context=self.lab.ssl_context())
        client._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]
        client._shortcmd(self.sasl())  # type: ignore[attr-defined]
        return client

    # The tenant.

    def deliver(self, raw: bytes, address: str = "") -> dict[str, str]:
        """A message from outside."""
        encoded_raw = base64.b64encode(raw).decode()
        return dict(self.lab.control("POST", f"/mailboxes/{address or self.mailbox}/messages", {"raw": encoded_raw}))

    def messages(self, folder: str, address: str = "") -> list[bytes]:
        """What lies in a folder, as raw bytes."""
        where = f"/mailboxes/{address or self.mailbox}/messages"
        listed = self.lab.control("GET", f"{where}?folder={folder}")
        return [self.lab.control("GET", f"{where}/{message['id']}/raw") for message in listed]

    def fault(self, name: str, times: int | None = None, **values: str | float) -> None:
        self.lab.control("PUT", f"/faults/{name}", {"times": times, "values": values})

    def limit(self, **limits: int | None) -> None:
        self.lab.control("PATCH", "/limits", limits)

    def change(self, address: str = "", **values: object) -> None:
        self.lab.control("PATCH", f"/mailboxes/{address or self.mailbox}", values)

    def skew(self, seconds: float) -> None:
        self.lab.control("PUT", "/clock", {"skew": seconds})

    # What goes wrong in a set-up, in the order in which the servers look (facts 5).

    def without(self, what: str) -> str:
        """Takes one thing away, and returns the SASL string to try with: the sign-in must then fail."""
        principal = self.lab.application["service_principal_id"]
        if what == "audience":
            return self.sasl(token=self.lab.token("https://graph.microsoft.com"))
        if what == "signature":
            return self.sasl(token=self.lab.token()[:-8] + "AAAAAAAA")
        if what == "life":
            sasl = self.sasl()
            self.skew(7200)
            return sasl
        if what == "role":
            for role in ("SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"):
                self.lab.control("DELETE", f"/applications/{self.lab.application['client_id']}/roles/exchange/{role}")
        elif what == "principal":
            self.lab.control("DELETE", f"/exchange/principals/{principal}")
        elif what == "right object id":
            self.lab.control("DELETE", f"/exchange/principals/{principal}")
            wrong = {"app_id": self.lab.application["client_id"], "object_id": self.lab.application["object_id"]}
            self.lab.control("POST", "/exchange/principals", wrong)
        elif what == "mailbox":
            return self.sasl(f"nobody@{self.lab.domain}")
        elif what == "right":
            self.lab.control("DELETE", f"/mailboxes/{self.mailbox}/rights/full-access/{principal}")
        else:
            raise ValueError(what)
        return self.sasl()


TOLD_AT_ONCE = ("audience", "signature", "life", "role", "principal", "right object id", "mailbox")
"""What every server refuses at the sign-in itself, all with the same vague answer."""
