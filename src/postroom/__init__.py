"""Postroom: the mail room between applications and Microsoft 365."""

__version__ = "0.1.0"
