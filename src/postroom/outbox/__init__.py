"""The outbox: accept, keep, pace, send, record. docs/outbox.md tells the way of one message."""
