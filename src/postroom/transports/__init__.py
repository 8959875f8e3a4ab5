"""Each transport moves mail over one protocol: SMTP and Graph out; IMAP, POP3 and Graph in.

`base.py` holds the two small protocols that they all fulfil, `opening.py` chooses one for a route.
"""
