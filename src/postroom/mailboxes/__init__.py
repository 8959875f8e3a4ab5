"""Mailbox configurations, their providers and credentials, how they are proved, and how mail goes through them.

`service.py`, `providers.py`, `credentials.py` keep them; `connect.py` makes routes of them for the transports;
`mailing.py` sends and reads; `proof.py` shows that it works, or why not.
"""
