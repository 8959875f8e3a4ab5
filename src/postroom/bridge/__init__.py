"""The ports for programs. So far: SMTP submission (docs/smtp-door.md)."""
