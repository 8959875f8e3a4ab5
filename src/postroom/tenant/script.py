"""Exchange administration as a PowerShell script, for a colleague who has the rights. The other `ExchangeAdmin`.

The script is complete (TLS, module, connection), may be run again, and is ASCII whatever the names in it are: Windows
PowerShell 5.1 reads a file without a byte order mark in the machine's own code page, and a typographic dash from a
word processor is no parameter (reference row G3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from postroom.tenant.calls import CLIENT_ID, PRINCIPAL_ID, Change, Cmdlet

_VARIABLES = {CLIENT_ID: "$ClientId", PRINCIPAL_ID: "$ServicePrincipalId"}
_SWITCHES = frozenset({"Shared"})
_ENVIRONMENTS = {"gcc-high": "O365USGovGCCHigh", "dod": "O365USGovDoD", "china": "O365China"}
"""Cloud -> value of Connect-ExchangeOnline -ExchangeEnvironmentName; the global cloud is its default."""
_IF_ABSENT = {
    "New-Mailbox": ("Get-Mailbox", "PrimarySmtpAddress"),
    "New-ManagementScope": ("Get-ManagementScope", "Name"),
    "New-ManagementRoleAssignment": ("Get-ManagementRoleAssignment", "Name"),
}
"""Cmdlets that fail when the thing is there -> what to ask for first, and which parameter names it. The other ones
may be repeated as they are: Exchange warns that there is nothing to add."""

_HEAD = """\
<#
.SYNOPSIS
  Exchange Online's part of the set-up {title}, written by Postroom.
.DESCRIPTION
  Run it as an Exchange administrator, in Windows PowerShell 5.1 or PowerShell 7. It may be run again: what is as
  wanted already stays as it is. It ends by printing what to send back.
.PARAMETER ClientId
  Application (client) ID of the App registration.
.PARAMETER ServicePrincipalId
  Object ID of the Enterprise application. Not the Object ID of the App registration: with that one, every sign-in
  fails.
#>
param(
    {client_id},
    {service_principal_id}
)
$ErrorActionPreference = 'Stop'
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12

if (-not (Get-Module -Name ExchangeOnlineManagement -ListAvailable)) {{
    Install-Module -Name ExchangeOnlineManagement -Scope CurrentUser -Force -AllowClobber
}}
Import-Module -Name ExchangeOnlineManagement
{connect}

function Wait-Until([scriptblock] $IsThere) {{
    for ($try = 1; $try -le 60 -and -not (& $IsThere); $try++) {{ Start-Sleep -Seconds 5 }}
}}
"""
_TAIL = """
# What to send back to whoever runs Postroom.
[pscustomobject]@{ client_id = $ClientId; service_principal_id = $ServicePrincipalId } | ConvertTo-Json
Disconnect-ExchangeOnline -Confirm:$false
"""


class ScriptWriter:
    """Writes cmdlets down, in order."""

    def __init__(self, title: str, tenant: str, cloud: str, known: Mapping[str, str]) -> None:
        """`known`: ids that are known already, by `client_id` and `service_principal_id`."""
        environment = _ENVIRONMENTS.get(cloud)
        connect = f"Connect-ExchangeOnline -Organization {quote(tenant)} -ShowBanner:$false"
        self._parts = [
            _HEAD.format(
                title=_ascii_words(title),
                client_id=_parameter("ClientId", known.get("client_id", "")),
                service_principal_id=_parameter("ServicePrincipalId", known.get("service_principal_id", "")),
                connect=connect + (f" -ExchangeEnvironmentName {environment}" if environment else ""),
            )
        ]

    def comment(self, sentence: str) -> None:
        self._parts.append(f"\n# {_ascii_words(sentence)}\n")

    async def run(self, cmdlet: Cmdlet) -> list[dict[str, Any]]:
        """Adds the cmdlet; there are no objects to give."""
        self._parts.append(_lines(cmdlet))
        return []

    def text(self) -> str:
        return "".join([*self._parts, _TAIL])


def quote(text: str) -> str:
    """A PowerShell string of ASCII characters; single-quoted where that can say it."""
    if text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_character, text)) + '"'


def _character(one: str) -> str:
    if one.isascii() and one.isalnum():
        return one
    if one.isascii() and one.isprintable():
        return one if one in " -_.@'" else f"`{one}"
    code = ord(one)
    return f"$([char]0x{code:04X})" if code < 0x10000 else f"$([char]::ConvertFromUtf32(0x{code:X}))"


def _lines(cmdlet: Cmdlet) -> str:
    line = _command(cmdlet)
    if cmdlet.name == "New-ServicePrincipal":
        return _service_principal(line)
    if cmdlet.name not in _IF_ABSENT:
        return line + "\n"
    ask, parameter = _IF_ABSENT[cmdlet.name]
    there = f"{ask} -Identity {_value(cmdlet.parameters[parameter])} -ErrorAction SilentlyContinue"
    lines = f"if (-not ({there})) {{\n    {line}\n}}"
    if cmdlet.name == "New-ManagementScope":
        change = {"Identity": cmdlet.parameters["Name"]}
        change["RecipientRestrictionFilter"] = cmdlet.parameters["RecipientRestrictionFilter"]
        return f"{lines} else {{\n    {_command(Cmdlet('Set-ManagementScope', change))}\n}}\n"
    if cmdlet.name == "New-Mailbox":
        return f"{lines}\nWait-Until {{ {there} }}\n"
    return lines + "\n"


def _service_principal(line: str) -> str:
    """A wrong object id is taken away first: Exchange keeps one for each application id."""
    others = "$_.AppId -eq $ClientId -and $_.ObjectId -ne $ServicePrincipalId"
    ours = "Get-ServicePrincipal | Where-Object { $_.ObjectId -eq $ServicePrincipalId }"
    return (
        f"Get-ServicePrincipal | Where-Object {{ {others} }} | ForEach-Object {{\n"
        "    Remove-ServicePrincipal -Identity $_.ObjectId -Confirm:$false\n"
        "}\n"
        f"if (-not ({ours})) {{\n    {line}\n}}\n"
        f"Wait-Until {{ {ours} }}\n"
    )


def _command(cmdlet: Cmdlet) -> str:
    words = [cmdlet.name]
    for name, value in cmdlet.parameters.items():
        if name == "Confirm":
            words.append("-Confirm:$false")
        elif name in _SWITCHES:
            words.append(f"-{name}")
        else:
            words.append(f"-{name} {_value(value)}")
    return " ".join(words)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if isinstance(value, Change):
        return f"@{{{value.how.capitalize()}={','.join(map(_value, value.values))}}}"
    if isinstance(value, str):
        return _VARIABLES.get(value) or quote(value)
    if isinstance(value, Sequence):
        return ",".join(map(_value, value))
    return str(value)


def _parameter(name: str, value: str) -> str:
    if value:
        return f"[string] ${name} = {quote(value)}"
    return f"[Parameter(Mandatory = $true)] [string] ${name}"


def _ascii_words(text: str) -> str:
    """For comments, where nothing can be computed: what is not ASCII becomes `?`; a comment cannot be closed."""
    return text.encode("ascii", "replace").decode().replace("\n", " ").replace("#>", "# >")
