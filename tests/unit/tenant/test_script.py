"""The PowerShell script: ASCII, valid by PowerShell's grammar, complete, and as it was looked at (golden)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from postroom.tenant.calls import CLIENT_ID, PRINCIPAL_ID, Change, Cmdlet
from postroom.tenant.export import whole_plan, write_script
from postroom.tenant.script import ScriptWriter, quote
from postroom.tenant.wanted import ReadBy, Restriction, SendBy, Wanted, WantedMailbox

GOLDEN = Path(__file__).with_name("golden.ps1")
WANTED = Wanted(
    "contoso.example",
    (
        WantedMailbox(
            "notifications@contoso.example",
            "Benachrichtigungen \N{EN DASH} Müller's",
            shared=True,
            members=("megan@contoso.example",),
            send_as=("lee@contoso.example",),
            send_on_behalf=("lee@contoso.example",),
            also_from=("billing@contoso.example",),
        ),
        WantedMailbox("adele@contoso.example"),
    ),
    send=(SendBy.SMTP, SendBy.GRAPH),
    read=tuple(ReadBy),
)


def script_of(wanted: Wanted, known: dict[str, str] | None = None) -> str:
    writer = ScriptWriter(wanted.title, wanted.tenant, wanted.cloud, known or {})
    asyncio.run(write_script(writer, whole_plan(wanted)))
    return writer.text()


def parsed(text: str) -> Node:
    return Parser(Language(tree_sitter_powershell.language())).parse(text.encode()).root_node


def test_is_as_it_was_looked_at() -> None:
    """When the script is meant to change: write `script_of(WANTED)` there, and look at the difference."""
    assert script_of(WANTED) == GOLDEN.read_text(encoding="ascii")


@pytest.mark.parametrize("restriction", [Restriction.GRANT, Restriction.SCOPE])
@pytest.mark.parametrize("cloud", ["global", "gcc-high", "china"])
def test_is_ascii_and_valid(restriction: Restriction, cloud: str) -> None:
    wanted = Wanted(WANTED.tenant, WANTED.mailboxes, cloud=cloud, restrict_smtp=restriction, read=())
    text = script_of(wanted, {"client_id": "c", "service_principal_id": "s"})
    assert text.isascii()
    assert not parsed(text).has_error
    assert ("-ExchangeEnvironmentName" in text) == (cloud != "global")


def test_a_planted_fault_of_syntax_is_found() -> None:
    assert parsed(script_of(WANTED).replace("if (-not (", "if (-not ((", 1)).has_error


def test_is_complete() -> None:
    text = script_of(WANTED)
    for part in (
        "[Net.SecurityProtocolType]::Tls12",
        "Install-Module -Name ExchangeOnlineManagement",
        "Import-Module -Name ExchangeOnlineManagement",
        "Connect-ExchangeOnline -Organization 'contoso.example'",
        "New-ServicePrincipal -AppId $ClientId -ObjectId $ServicePrincipalId",
        "New-Mailbox -Shared",
        "Add-MailboxPermission -Identity 'notifications@contoso.example' -User $ServicePrincipalId",
        "Add-RecipientPermission -Identity 'billing@contoso.example'",
        "Set-Mailbox -Identity 'notifications@contoso.example' -GrantSendOnBehalfTo @{Add='lee@contoso.example'}",
        "Set-CASMailbox -Identity 'adele@contoso.example' -SmtpClientAuthenticationDisabled $false -ImapEnabled $true",
        "New-ManagementScope",
        "New-ManagementRoleAssignment",
    ):
        assert part in text, part
    assert "\N{EN DASH}" not in text


def test_known_ids_are_filled_in_and_unknown_ones_asked_for() -> None:
    assert text_of_parameter(script_of(WANTED)).count("Mandatory = $true") == 2
    known = text_of_parameter(script_of(WANTED, {"client_id": "c-1", "service_principal_id": "s-1"}))
    assert "[string] $ClientId = 'c-1'" in known
    assert "[string] $ServicePrincipalId = 's-1'" in known


def text_of_parameter(text: str) -> str:
    return text[text.index("param(") : text.index("$ErrorActionPreference")]


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_string_can_hold_anything_and_end_nowhere(value: str) -> None:
    """One string literal, whatever is in it, a quote, a `$(` and a line end included."""
    text = f"Set-It -Name {quote(value)}\n"
    assert text.isascii()
    root = parsed(text)
    assert not root.has_error
    assert [one.type for one in root.children] == ["statement_list"]
    commands = [one for one in descendants(root) if one.type == "command_name" and one.text == b"Set-It"]
    assert len(commands) == 1


def descendants(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in descendants(child))]


async def test_writer_is_an_exchange_admin() -> None:
    writer = ScriptWriter("x", "contoso.example", "global", {})
    cmdlet = Cmdlet("Set-Mailbox", {"Identity": "a", "GrantSendOnBehalfTo": Change("remove", ("b", "c"))})
    assert await writer.run(cmdlet) == []
    await writer.run(Cmdlet("New-ServicePrincipal", {"AppId": CLIENT_ID, "ObjectId": PRINCIPAL_ID}))
    writer.comment("a comment #> that\nwants out")
    assert "@{Remove='b','c'}" in writer.text()
    assert "#> that" not in writer.text()
    assert not parsed(writer.text()).has_error
