"""The peers: Postfix (Debian's) and emailproxy (from Python's registry), each configured in a folder of the run.

Both get what helps them: no DNS, no throttling of clients, no chroot, no content checks, limits off.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.house import Stage
from bench.processes import Failed, Program, free_port, running, tree_cpu, wait_for_port

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
tlsproxy  unix  - - n - 0 tlsproxy
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

_COMMON = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/maillog
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
in_flow_delay = 0
disable_dns_lookups = yes
alias_maps =
alias_database =
"""

# Each message is written and synced once, and then lies in the queue: "hold" has no delivery try to it.
_QUEUE_ONLY = "smtpd_client_restrictions = static:HOLD\n"

_RELAY = """
relayhost = [localhost]:{sink}
smtp_host_lookup = native
smtp_sasl_auth_enable = yes
smtp_sasl_type = cyrus
smtp_sasl_mechanism_filter = plain
smtp_sasl_security_options = noanonymous
smtp_sasl_password_maps = static:{user}:{token}
smtp_tls_security_level = verify
smtp_tls_verify_cert_match = hostname
smtp_tls_CAfile = {ca_file}
smtp_tls_connection_reuse = {reuse}
smtp_connection_cache_on_demand = {reuse}
smtp_tls_session_cache_database =
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
"""


@dataclass
class Postfix:
    """One running instance."""

    port: int
    folder: Path

    @property
    def cpu(self) -> float:
        """CPU seconds of all its processes."""
        pid = (self.folder / "queue" / "pid" / "master.pid").read_text()
        return tree_cpu(int(pid))

    def empty(self) -> None:
        """Removes what is held; not part of any measurement."""
        subprocess.run(
            ["postsuper", "-c", str(self.folder / "etc"), "-d", "ALL"], check=False, capture_output=True, cwd="/"
        )


@contextmanager
def queueing_postfix(stage: Stage) -> Iterator[Postfix]:
    """Takes mail, keeps it, sends nothing."""
    with _postfix(stage, "postfix-queue", _QUEUE_ONLY) as postfix:
        yield postfix


@contextmanager
def relaying_postfix(stage: Stage, *, reuse: bool) -> Iterator[Postfix]:
    """Takes mail and sends it to the sink. Debian's only XOAUTH2 plugin for SASL asks in a way that Postfix does not
    answer ("invalid parameter supplied"), so the token goes as the password of AUTH PLAIN, which costs the same."""
    settings = _RELAY.format(
        sink=stage.sink.smtp,
        user=stage.address,
        token=stage.lab.token(),
        ca_file=stage.lab.ca_file,
        reuse="yes" if reuse else "no",
    )
    with _postfix(stage, f"postfix-relay-{'kept' if reuse else 'each'}", settings) as postfix:
        yield postfix


@contextmanager
def _postfix(stage: Stage, name: str, more: str) -> Iterator[Postfix]:
    folder, port = stage.folder / name, free_port()
    for part in ("etc", "queue", "data", "log"):
        (folder / part).mkdir(parents=True)
    shutil.chown(folder / "data", "postfix")
    (folder / "etc" / "main.cf").write_text(_COMMON.format(folder=folder) + more)
    (folder / "etc" / "master.cf").write_text(_MASTER.format(port=port))
    (folder / "etc" / "dynamicmaps.cf").touch()
    _command(folder, "start")
    try:
        wait_for_port(port)
        yield Postfix(port, folder)
    finally:
        _command(folder, "abort")


def _command(folder: Path, word: str) -> None:
    done = subprocess.run(
        ["postfix", "-c", str(folder / "etc"), word], text=True, capture_output=True, cwd="/", check=False
    )
    if done.returncode:
        log = folder / "log" / "maillog"
        raise Failed(f"postfix {word}: {done.stderr}\n{log.read_text()[-2000:] if log.exists() else ''}")


_PROXY = """
[SMTP-{port}]
local_address = 127.0.0.1
server_address = localhost
server_port = {sink}
server_starttls = True

[{user}]
token_url = {authority}/{tenant}/oauth2/v2.0/token
oauth2_scope = https://outlook.office365.com/.default
oauth2_flow = client_credentials
client_id = {client_id}
client_secret = {client_secret}
"""


@dataclass
class EmailProxy:
    port: int
    program: Program

    @property
    def cpu(self) -> float:
        return self.program.cpu


@contextmanager
def emailproxy(stage: Stage, environment: Path) -> Iterator[EmailProxy]:
    """In its own virtual environment; it trusts the lab's authority."""
    folder, port = stage.folder / "emailproxy", free_port()
    folder.mkdir()
    application = stage.lab.application
    (folder / "emailproxy.config").write_text(
        _PROXY.format(
            port=port,
            sink=stage.sink.smtp,
            user=stage.address,
            authority=stage.lab.cloud["authority"],
            tenant=stage.lab.tenant_id,
            **{name: application[name] for name in ("client_id", "client_secret")},
        )
    )
    command = [str(environment / "bin" / "emailproxy"), "--no-gui", "--config-file", str(folder / "emailproxy.config")]
    command += ["--log-file", str(folder / "own.log")]
    with running(command, folder / "log", os.environ | {"SSL_CERT_FILE": stage.lab.ca_file}) as program:
        wait_for_port(port, program)
        yield EmailProxy(port, program)
