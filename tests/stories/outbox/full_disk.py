"""Accepts until the disk is full, some more, and once when there is room again; prints how many of each.

full_disk.py MAILBOX
"""

from __future__ import annotations

import os
import resource
import signal
import sys

import django


def run(mailbox: int) -> tuple[int, int, int]:
    from postroom.core.settings import settings
    from postroom.mail.envelope import Envelope
    from postroom.outbox.accept import accept, close
    from postroom.outbox.values import Caller, Door, Refusal, Submission

    raw = b"From: letters@contoso.example\r\nTo: a@example.com\r\nSubject: x\r\n\r\n" + b"words\r\n" * 20_000
    envelope = Envelope("letters@contoso.example", ("a@example.com",))
    submission = Submission(Caller("cli:full"), Door.CLI, raw, envelope, mailbox=mailbox)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (settings().home / "postroom.sqlite3").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1_000_000, resource.RLIM_INFINITY))
    accepted = refused = 0
    while refused < 3:
        try:
            accept(submission)
            accepted += 1
        except Refusal as refusal:
            if not refusal.temporary:
                raise
            refused += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    accept(submission)
    close()
    return accepted, refused, 1


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postroom.settings")
    django.setup()
    sys.stdout.write(" ".join(map(str, run(int(sys.argv[1])))) + "\n")
