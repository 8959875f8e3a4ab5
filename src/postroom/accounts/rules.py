"""Who may do what: the verbs of the product and the roles that have them. Pure."""

from __future__ import annotations

ADMINISTRATOR = "administrator"
MAILBOX_ADMINISTRATOR = "mailbox-administrator"
OPERATOR = "operator"
APPROVER = "approver"
READER = "reader"

ROLES = (ADMINISTRATOR, MAILBOX_ADMINISTRATOR, OPERATOR, APPROVER, READER)

# What each role is for, in the words shown where it is given.
ROLE_PURPOSES = {
    ADMINISTRATOR: "Everything: people, the audit log and the set-up of tenants included.",
    MAILBOX_ADMINISTRATOR: "Sets up mailboxes, providers and credentials; tests, sends and reads.",
    OPERATOR: "Tests mailboxes, sends mail and looks at inboxes; changes no configuration.",
    APPROVER: "Decides about quarantined mail; sees the configuration.",
    READER: "Sees the configuration and its health; reads no mail.",
}

_SET_UP = frozenset({ADMINISTRATOR, MAILBOX_ADMINISTRATOR})
_WORK = _SET_UP | {OPERATOR}

_VERBS: dict[str, frozenset[str]] = {
    "mailbox.view": frozenset(ROLES),
    "mailbox.change": _SET_UP,
    "mailbox.test": _WORK,
    "mailbox.send": _WORK,
    "mailbox.read": _WORK,
    "outbox.view": _WORK,
    "outbox.change": _WORK,
    "provider.change": _SET_UP,
    "credential.change": _SET_UP,
    "tenant.view": frozenset(ROLES),
    # An administrator's sign-in to the tenant is kept, and whoever may use it could grant the application anything.
    "tenant.change": frozenset({ADMINISTRATOR}),
    "app.change": _SET_UP,
    "listener.change": _SET_UP,
    "person.change": frozenset({ADMINISTRATOR}),
    "audit.view": frozenset({ADMINISTRATOR, OPERATOR}),
}

VERBS = tuple(_VERBS)


def may(role: str, verb: str) -> bool:
    """Whether somebody of this role may do this. Raises `ValueError` for a verb that does not exist."""
    return role in roles_that_may(verb)


def roles_that_may(verb: str) -> tuple[str, ...]:
    """The roles that have this verb, most powerful first. Raises `ValueError` for a verb that does not exist."""
    if verb not in _VERBS:
        raise ValueError(f"there is no verb {verb!r}; the verbs are {', '.join(VERBS)}")
    return tuple(role for role in ROLES if role in _VERBS[verb])
