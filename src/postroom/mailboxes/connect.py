"""From a mailbox's row to the routes that transports go by: hosts filled in, secrets opened, tokens bound."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from postroom.core.clock import now
from postroom.core.encryption import CannotOpen
from postroom.core.faults import Fault
from postroom.core.settings import settings
from postroom.mailboxes import credentials, service
from postroom.mailboxes.choices import CredentialKind
from postroom.mailboxes.known_clouds import known_clouds
from postroom.mailboxes.models import Credential, Mailbox
from postroom.mailboxes.token_source import token_source
from postroom.mailboxes.values import Effective, Server
from postroom.microsoft.claims import AccessToken, Claims
from postroom.microsoft.clouds import Cloud
from postroom.microsoft.errors import Evidence
from postroom.microsoft.tokens import (
    ApplicationIdentity,
    Certificate,
    ClientSecret,
    CredentialSecret,
    FederatedFile,
    ManagedIdentity,
    TokenSource,
)
from postroom.transports.base import (
    Anonymous,
    Endpoint,
    GraphRoute,
    ImapRoute,
    OAuth,
    Password,
    PopRoute,
    ReadRoute,
    Security,
    SendRoute,
    SignIn,
    SmtpRoute,
    TokenFor,
)

Wrap = Callable[[TokenFor], TokenFor]
"""Puts itself around the asking for a token, to watch it (the proof does)."""

_SPREADING = timedelta(hours=1)
"""How long a change may take to be seen everywhere (facts 8)."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A mailbox with all that is needed to connect; made with the database at hand, used without it."""

    id: int
    whole: Effective
    identity: ApplicationIdentity | None
    password: str = field(repr=False)
    changed_at: datetime
    scoped_roles: frozenset[str] = frozenset()
    """Roles by RBAC for Applications, which no token carries."""


def ready(mailbox: Mailbox) -> Ready:
    """Raises `Invalid` or `Fault` naming what is missing, and how to mend it."""
    whole = service.effective(mailbox)
    rows = credentials.rows_of(mailbox)
    if whole.sign_in_by != "none" and not rows:
        raise Fault(
            f"the mailbox {mailbox.name!r} has no credential",
            f"add one: postroom credential add {mailbox.name!r}",
        )
    proxy = whole.proxy or settings().proxy
    identity = None
    if whole.sign_in_by == "oauth" and whole.cloud is not None:
        identity = ApplicationIdentity(whole.cloud, whole.tenant, whole.client_id, _secrets(rows), proxy=proxy)
    password = _opened(rows[0]) if whole.sign_in_by == "password" else ""
    changed = max([mailbox.changed_at, *(row.created_at for row in rows)])
    scoped = frozenset(mailbox.application.scoped_roles) if mailbox.application else frozenset()
    return Ready(mailbox.pk, whole, identity, password, changed, scoped)


def token_by(credential: Credential, resource: str) -> AccessToken:
    """A token that this very credential proves, whatever others the application has; asked for anew.

    Raises `Refused` with Entra's answer, `Fault` when the credential cannot be opened.
    """
    application = credential.application
    cloud = known_clouds().get(application.cloud) if application else None
    if application is None or cloud is None:
        raise Fault(f"the credential {credential} proves no application of a known cloud", "choose another credential")
    secret = _secret(credential, _opened(credential))
    identity = ApplicationIdentity(
        cloud, application.tenant, str(application.client_id), (secret,), proxy=settings().proxy
    )
    return TokenSource().get(identity, resource)


def send_route(prepared: Ready, wrap: Wrap | None = None) -> SendRoute:
    """How its mail goes out. Raises `Fault` when it does not send."""
    whole = prepared.whole
    if whole.send_by == "graph":
        return _graph(prepared, wrap)
    if whole.smtp is None:
        raise Fault(f"the mailbox {whole.name!r} does not send", "choose SMTP or Graph under 'how to send'")
    return SmtpRoute(_endpoint(whole.smtp, prepared), _sign_in(prepared, wrap))


def read_route(prepared: Ready, wrap: Wrap | None = None) -> ReadRoute:
    """How its folder is read. Raises `Fault` when it does not read."""
    whole = prepared.whole
    if whole.read_by == "graph":
        return _graph(prepared, wrap)
    if whole.read_by == "none" or whole.incoming is None:
        raise Fault(f"the mailbox {whole.name!r} does not read", "switch 'read inbox' on, and choose how to read")
    endpoint, sign_in = _endpoint(whole.incoming, prepared), _sign_in(prepared, wrap)
    return PopRoute(endpoint, sign_in) if whole.read_by == "pop3" else ImapRoute(endpoint, sign_in, whole.folder)


def resource(whole: Effective, by: str) -> str:
    """The resource whose token sending or reading `by` needs; "" without OAuth."""
    if whole.sign_in_by != "oauth" or whole.cloud is None or by == "none":
        return ""
    return whole.cloud.graph_resource if by == "graph" else whole.cloud.exchange_resource


def evidence(
    prepared: Ready,
    claims: Claims | None = None,
    worked: frozenset[str] = frozenset(),
    roles: Collection[str] = (),
) -> Evidence:
    """What is known of the mailbox, for `microsoft.errors.explain`; `roles` are those that the deed needs."""
    whole = prepared.whole
    return Evidence(
        mailbox=whole.address,
        sender=whole.sender,
        tenant=whole.tenant,
        client_id=whole.client_id,
        object_id=whole.object_id,
        service_principal_id=whole.service_principal_id,
        claims=claims,
        recently_changed=now() - prepared.changed_at < _SPREADING,
        worked=worked,
        by_password=whole.sign_in_by == "password",
        scoped=bool(roles) and prepared.scoped_roles.issuperset(roles),
    )


def _endpoint(server: Server, prepared: Ready) -> Endpoint:
    whole = prepared.whole
    return Endpoint(
        server.host,
        server.port,
        Security(server.security),
        ca_file=whole.cloud.ca_file if whole.cloud else "",
        proxy=whole.proxy or settings().proxy,
    )


def _graph(prepared: Ready, wrap: Wrap | None) -> GraphRoute:
    whole = prepared.whole
    sign_in = _sign_in(prepared, wrap, graph=True)
    if whole.cloud is None or not isinstance(sign_in, OAuth):
        raise Fault(f"the mailbox {whole.name!r} uses Graph without OAuth", "choose OAuth 2.0 client credentials")
    server = graph_server(whole.cloud)
    folder = "inbox" if whole.folder.upper() == "INBOX" else whole.folder
    return GraphRoute(_endpoint(server, prepared), sign_in, save_to_sent=whole.save_to_sent, folder=folder)


def graph_server(cloud: Cloud) -> Server:
    """Where the cloud's Graph listens."""
    parts = urlsplit(cloud.graph)
    plain = parts.scheme == "http"
    return Server(parts.hostname or "", parts.port or (80 if plain else 443), "none" if plain else "tls")


def _sign_in(prepared: Ready, wrap: Wrap | None, *, graph: bool = False) -> SignIn:
    whole = prepared.whole
    if whole.sign_in_by == "none":
        return Anonymous()
    if prepared.identity is None:
        return Password(whole.user_name, prepared.password)
    ask: TokenFor = _Tokens(prepared.identity, resource(whole, "graph" if graph else "smtp"))
    return OAuth(whole.address, wrap(ask) if wrap else ask)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """`TokenFor` of one application and resource, from the source that the whole process shares."""

    identity: ApplicationIdentity
    resource: str

    def __call__(self, *, force: bool = False) -> AccessToken:
        return token_source().get(self.identity, self.resource, force=force)


def _secrets(rows: Sequence[Credential]) -> tuple[CredentialSecret, ...]:
    """Those that open; one that does not is passed over as long as another does."""
    opened: list[CredentialSecret] = []
    fault: Fault | None = None
    for row in rows:
        try:
            opened.append(_secret(row, _opened(row)))
        except Fault as error:
            fault = fault or error
    if fault is not None and not opened:
        raise fault
    return tuple(opened)


def _secret(row: Credential, value: str) -> CredentialSecret:
    key = str(row.pk)
    match row.kind:
        case CredentialKind.CERTIFICATE:
            return Certificate(key, value)
        case CredentialKind.FEDERATED_FILE:
            return FederatedFile(key, value)
        case CredentialKind.MANAGED_IDENTITY:
            return ManagedIdentity(key, value or None)
        case _:
            return ClientSecret(key, value)


def _opened(row: Credential) -> str:
    try:
        return credentials.open_secret(row)
    except CannotOpen as error:
        raise Fault(
            f"cannot read the credential {row}: {error}",
            "give Postroom the key it was stored with (POSTROOM_KEY or the key file), or add the credential anew",
        ) from error
