"""The plan's Exchange part: service principal, mailboxes, rights, switches, scopes. Pure. Cmdlets: facts 4.1, 4.3."""

from __future__ import annotations

from collections.abc import Iterator

from postroom.tenant.calls import CLIENT_ID, PRINCIPAL_ID, Call, Change, Cmdlet, GraphCall
from postroom.tenant.needs import needs_exchange_principal, needs_full_access, scoped_roles
from postroom.tenant.observed import MailboxSeen, Observed, UserSeen
from postroom.tenant.rights import Right
from postroom.tenant.steps import Finding, Step, Weight
from postroom.tenant.wanted import ReadBy, SendBy, Wanted, WantedMailbox

FULL_ACCESS = ["FullAccess", "ReadPermission"]
"""ReadPermission too: the reference system insists on it in the grant (rows A9, A12)."""
_NAME_LENGTH = 64
_EXCHANGE = (Right.EXCHANGE,)


def plan(wanted: Wanted, observed: Observed) -> Iterator[Step | Finding]:
    """Steps and findings about Exchange."""
    if needs_exchange_principal(wanted):
        yield from _principal(wanted, observed)
    for mailbox in wanted.mailboxes:
        yield from _mailbox(wanted, observed, mailbox)
    if scoped_roles(wanted):
        yield from _scope(wanted, observed)
    if observed.security_defaults and wanted.sends(SendBy.SMTP):
        yield Finding(
            "security-defaults",
            observed.tenant_name or observed.tenant_id,
            "security defaults are on, which switch SMTP AUTH off; the mailboxes' own switches are set to on",
            "If SMTP still refuses: Entra admin center > Overview > Properties > Manage security defaults.",
            Weight.WARNING,
        )


def scope_name(wanted: Wanted) -> str:
    """Name of this set-up's management scope."""
    own = wanted.title.lower().startswith("postroom")
    return (wanted.title if own else f"Postroom {wanted.title}")[:_NAME_LENGTH]


def scope_filter(wanted: Wanted) -> str:
    """OPATH filter for exactly the wanted mailboxes; a quote inside an address is doubled."""
    addresses = sorted(mailbox.address.replace("'", "''") for mailbox in wanted.mailboxes)
    return " -or ".join(f"PrimarySmtpAddress -eq '{address}'" for address in addresses)


def _principal(wanted: Wanted, observed: Observed) -> Iterator[Step]:
    right_id = observed.principal.id if observed.principal else ""
    known = observed.exchange_principals
    for wrong in (one for one in known if one.object_id != right_id):
        fix = f"Remove-ServicePrincipal -Identity {wrong.object_id}, then New-ServicePrincipal with {right_id}."
        fault = f"Exchange knows the application under the object id {wrong.object_id}, which is not its own"
        yield Step(
            key=f"exchange-principal:remove:{wrong.object_id}",
            title=f"Remove the wrong object id {wrong.object_id} from Exchange",
            why="Exchange compares the object id in the token; under another one, every sign-in fails.",
            calls=(Cmdlet("Remove-ServicePrincipal", {"Identity": wrong.object_id, "Confirm": False}),),
            needs=_EXCHANGE,
            findings=(Finding("wrong-object-id", wrong.object_id, fault, fix),),
        )
    if any(one.object_id == right_id for one in known):
        return
    fix = f"New-ServicePrincipal -AppId {observed.client_id or CLIENT_ID} -ObjectId {right_id or PRINCIPAL_ID}"
    parameters = {"AppId": CLIENT_ID, "ObjectId": PRINCIPAL_ID, "DisplayName": wanted.application}
    yield Step(
        key="exchange-principal",
        title="Make the service principal known to Exchange",
        why="Exchange keeps a list of its own; only who is on it can be given a right there.",
        calls=(Cmdlet("New-ServicePrincipal", parameters),),
        needs=_EXCHANGE,
        depends_on=("principal", "exchange-principal:"),
        findings=(
            Finding(
                "exchange-principal-missing",
                right_id,
                "Exchange does not know the application's service principal",
                fix,
            ),
        ),
    )


def _mailbox(wanted: Wanted, observed: Observed, mailbox: WantedMailbox) -> Iterator[Step | Finding]:
    seen = observed.mailboxes.get(mailbox.address)
    user = observed.users.get(mailbox.address)
    if seen is None and mailbox.shared:
        yield _new_shared(mailbox)
    elif not (seen and seen.shared):
        if user is None and seen is None:
            yield Finding(
                "mailbox-missing",
                mailbox.address,
                "there is no such mailbox and no such user",
                "Correct the address, or write shared: true to have a shared mailbox made.",
                Weight.BLOCKS,
            )
            return
        if user and not user.licensed:
            yield _licence(observed, mailbox, user, wanted.country or observed.country)
    yield from _application_access(wanted, observed, mailbox, seen)
    yield from _unknown_people(observed, mailbox)
    yield from _people(mailbox, seen)
    yield from _further_senders(observed, mailbox, seen)
    yield from _switches(wanted, observed, mailbox, seen)


def _new_shared(mailbox: WantedMailbox) -> Step:
    name = mailbox.name or mailbox.address.partition("@")[0]
    alias = mailbox.address.partition("@")[0]
    parameters = {
        "Shared": True,
        "Name": name,
        "DisplayName": name,
        "Alias": alias,
        "PrimarySmtpAddress": mailbox.address,
    }
    fault = "the shared mailbox does not exist"
    return Step(
        key=f"mailbox:{mailbox.address}",
        title=f"Make the shared mailbox {mailbox.address}",
        why="A shared mailbox needs no licence (unless auto-reply rules, an archive or over 50 GB are wanted).",
        calls=(Cmdlet("New-Mailbox", parameters),),
        needs=_EXCHANGE,
        findings=(
            Finding("mailbox-missing", mailbox.address, fault, "Microsoft 365 admin center > Shared mailboxes."),
        ),
    )


def _licence(observed: Observed, mailbox: WantedMailbox, user: UserSeen, country: str) -> Step | Finding:
    fault = "the user has no licence with Exchange, so there is no mailbox to use"
    fix = "Microsoft 365 admin center > Users > Licenses and apps: assign a licence that has Exchange Online."
    free = [one for one in observed.licences if one.free > 0 and one.has_exchange]
    choice = next((one for one in free if mailbox.licence in ("", one.name)), None)
    if choice is None:
        what = f"no free licence {mailbox.licence}" if mailbox.licence else "no free licence that has Exchange"
        return Finding("licence-missing", mailbox.address, f"{fault}; the tenant has {what}", fix, Weight.BLOCKS)
    if not user.country and not country:
        fault, fix = "the user has no country, without which no licence can be assigned", "Write country: in the file."
        return Finding("country-missing", mailbox.address, fault, fix, Weight.BLOCKS)
    located = GraphCall("PATCH", f"/users/{user.id}", {"usageLocation": country})
    body = {"addLicenses": [{"skuId": choice.id, "disabledPlans": []}], "removeLicenses": []}
    return Step(
        key=f"licence:{mailbox.address}",
        title=f"Assign {mailbox.address} a licence {choice.name} ({choice.free} free)",
        why="The mailbox of a user needs a licence to send and receive.",
        calls=(*(() if user.country else (located,)), GraphCall("POST", f"/users/{user.id}/assignLicense", body)),
        needs=(Right.ASSIGN_LICENCES,),
        findings=(Finding("licence-missing", mailbox.address, fault, fix),),
    )


def _application_access(
    wanted: Wanted, observed: Observed, mailbox: WantedMailbox, seen: MailboxSeen | None
) -> Iterator[Step]:
    if not needs_full_access(wanted) or (seen and seen.full_access & _principal_names(observed)):
        return
    yield Step(
        key=f"full-access:{mailbox.address}",
        title=f"Give the application FullAccess to {mailbox.address}",
        why="IMAP, POP3 and SMTP open a mailbox for an application only if it has this right on it.",
        calls=(_mailbox_permission(mailbox.address, PRINCIPAL_ID),),
        needs=_EXCHANGE,
        depends_on=("exchange-principal", f"mailbox:{mailbox.address}", f"licence:{mailbox.address}"),
        findings=(
            Finding(
                "full-access-missing",
                mailbox.address,
                "the application has no FullAccess to the mailbox",
                f"Add-MailboxPermission -Identity {mailbox.address} -User <object id> -AccessRights FullAccess",
            ),
        ),
    )


def _people(mailbox: WantedMailbox, seen: MailboxSeen | None) -> Iterator[Step]:
    address = mailbox.address
    for person in mailbox.members:
        if not (seen and person in seen.full_access):
            call = _mailbox_permission(address, person, mapped=True)
            yield _for_person("member", address, person, f"Let {person} open {address}", "FullAccess", call)
    for person in mailbox.send_as:
        if not (seen and person in seen.send_as):
            call = _send_as(address, person)
            yield _for_person("send-as", address, person, f"Let {person} send as {address}", "Send As", call)
    absent = tuple(one for one in mailbox.send_on_behalf if not (seen and one in seen.send_on_behalf))
    for person in absent:
        call = Cmdlet("Set-Mailbox", {"Identity": address, "GrantSendOnBehalfTo": Change("add", (person,))})
        title = f"Let {person} send on behalf of {address}"
        yield _for_person("on-behalf", address, person, title, "Send on Behalf", call)


def _unknown_people(observed: Observed, mailbox: WantedMailbox) -> Iterator[Finding]:
    for person in sorted({*mailbox.members, *mailbox.send_as, *mailbox.send_on_behalf} - observed.people):
        fault = f"Exchange knows nobody by the address {person}"
        fix = f"Correct it in the wanted state of {mailbox.address}."
        yield Finding("person-missing", person, fault, fix, Weight.BLOCKS)


def _for_person(kind: str, address: str, person: str, title: str, right: str, call: Cmdlet) -> Step:
    return Step(
        key=f"{kind}:{address}:{person}",
        title=title,
        why="It is wanted for this person.",
        calls=(call,),
        needs=_EXCHANGE,
        depends_on=(f"mailbox:{address}", f"licence:{address}"),
        findings=(
            Finding(f"{kind}-missing", address, f"{person} has no right {right} on the mailbox", f"Grant {right}."),
        ),
    )


def _further_senders(observed: Observed, mailbox: WantedMailbox, seen: MailboxSeen | None) -> Iterator[Step]:
    """Send As for the mailbox, which is whom Exchange checks (facts 4.2), and for the application, as is documented."""
    ours = {mailbox.address} | (seen.names if seen else frozenset())
    for sender in mailbox.also_from:
        trusted = observed.senders.get(sender, frozenset())
        calls: list[Call] = []
        if not trusted & ours:
            calls.append(_send_as(sender, mailbox.address))
        if not trusted & _principal_names(observed):
            calls.append(_send_as(sender, PRINCIPAL_ID))
        if calls:
            yield Step(
                key=f"also-from:{sender}:{mailbox.address}",
                title=f"Let mail from {mailbox.address} bear {sender} as From",
                why="FullAccess does not include sending as another address; without Send As it is 554 SendAsDenied.",
                calls=tuple(calls),
                needs=_EXCHANGE,
                depends_on=("exchange-principal", f"mailbox:{mailbox.address}", f"mailbox:{sender}"),
                findings=(
                    Finding(
                        "send-as-missing",
                        sender,
                        f"{mailbox.address} may not send as {sender}",
                        f"Add-RecipientPermission {sender} -AccessRights SendAs -Trustee {mailbox.address}",
                    ),
                ),
            )


def _switches(
    wanted: Wanted, observed: Observed, mailbox: WantedMailbox, seen: MailboxSeen | None
) -> Iterator[Step | Finding]:
    # Of a new mailbox nothing is taken for granted: the organisation's mailbox plan may switch protocols off.
    parameters: dict[str, object] = {}
    findings: list[Finding] = []
    fix = f"Set-CASMailbox -Identity {mailbox.address}"
    if wanted.sends(SendBy.SMTP) and (fault := _smtp_fault(observed, seen)):
        parameters["SmtpClientAuthenticationDisabled"] = False
        findings.append(Finding(*fault, f"{fix} -SmtpClientAuthenticationDisabled $false"))
    for by, parameter, is_on in (
        (ReadBy.IMAP, "ImapEnabled", bool(seen and seen.imap)),
        (ReadBy.POP, "PopEnabled", bool(seen and seen.pop)),
    ):
        if wanted.reads(by) and not is_on:
            parameters[parameter] = True
            fault_text = f"{by.upper()} is switched off on the mailbox"
            findings.append(Finding(f"{by}-off", mailbox.address, fault_text, f"{fix} -{parameter} $true"))
    if parameters:
        yield Step(
            key=f"protocols:{mailbox.address}",
            title=f"Switch on what {mailbox.address} is used by",
            why="A mailbox's own switch wins over the organisation's, so that only this mailbox is opened.",
            calls=(Cmdlet("Set-CASMailbox", {"Identity": mailbox.address, **parameters}),),
            needs=_EXCHANGE,
            depends_on=(f"mailbox:{mailbox.address}", f"licence:{mailbox.address}"),
            findings=tuple(findings),
        )


def _smtp_fault(observed: Observed, seen: MailboxSeen | None) -> tuple[str, str, str] | None:
    """Id, about and fault of what keeps SMTP AUTH off, or may: the mailbox's own switch must be on, so that nothing
    hangs on the organisation's, which others change."""
    if seen is None:
        return "smtp-auth-inherited", "", "the new mailbox takes the organisation's switch for SMTP AUTH"
    if seen.smtp_auth_off:
        return "smtp-auth-off-mailbox", seen.address, "SMTP AUTH is switched off on the mailbox"
    if seen.smtp_auth_off is None:
        if observed.smtp_auth_off:
            return "smtp-auth-off-tenant", seen.address, "SMTP AUTH is switched off for the organisation, not on here"
        if observed.security_defaults:
            return "smtp-auth-off-tenant", seen.address, "security defaults switch SMTP AUTH off, and it is not on here"
        return "smtp-auth-inherited", seen.address, "SMTP AUTH works only as long as the organisation's switch is on"
    return None


def _scope(wanted: Wanted, observed: Observed) -> Iterator[Step | Finding]:
    name, wanted_filter = scope_name(wanted), scope_filter(wanted)
    is_filter = observed.scopes.get(name)
    if is_filter is None:
        parameters = {"Name": name, "RecipientRestrictionFilter": wanted_filter}
        yield _scope_step(Cmdlet("New-ManagementScope", parameters), "scope-missing", "the scope does not exist", name)
    elif _normal(is_filter) != _normal(wanted_filter):
        parameters = {"Identity": name, "RecipientRestrictionFilter": wanted_filter}
        cmdlet = Cmdlet("Set-ManagementScope", parameters)
        yield _scope_step(cmdlet, "scope-differs", f"the scope holds other mailboxes: {is_filter}", name)
    for role in scoped_roles(wanted):
        given = [one for one in observed.scoped_roles if one.role == role]
        if not any(one.scope == name for one in given):
            yield _scoped_role(role, name)
        for one in given:
            if not one.scope:
                yield _unscoped_assignment(role, one.name, observed)


def _scope_step(cmdlet: Cmdlet, finding: str, fault: str, name: str) -> Step:
    return Step(
        key="scope",
        title=f"Keep the application to its mailboxes: the scope {name!r}",
        why="Graph's permissions hold for every mailbox of the organisation; a scope holds for the ones named.",
        calls=(cmdlet,),
        needs=_EXCHANGE,
        depends_on=("mailbox:",),
        findings=(Finding(finding, name, fault, f"{cmdlet.name} with a filter for the wanted mailboxes."),),
    )


def _scoped_role(role: str, scope: str) -> Step:
    parameters = {
        "Name": f"{scope[: _NAME_LENGTH - len(role) - 1]} {role}",
        "Role": f"Application {role}",
        "App": PRINCIPAL_ID,
        "CustomResourceScope": scope,
    }
    return Step(
        key=f"scoped-role:{role}",
        title=f"Give the application the role {role} within its scope",
        why="RBAC for Applications takes the place of an app role that holds for every mailbox.",
        calls=(Cmdlet("New-ManagementRoleAssignment", parameters),),
        needs=_EXCHANGE,
        depends_on=("exchange-principal", "scope"),
        findings=(Finding("scoped-role-missing", role, f"{role} is not given within the scope", "Assign it."),),
    )


def _unscoped_assignment(role: str, name: str, observed: Observed) -> Step | Finding:
    fault = f"the role assignment {name!r} gives {role} for the whole organisation, which defeats the scope"
    finding = Finding("unscoped-assignment", name, fault, f"Remove-ManagementRoleAssignment -Identity '{name}'")
    if not observed.made_here:
        return finding
    return Step(
        key=f"unscoped-assignment:{name}",
        title=f"Remove the role assignment {name!r}",
        why="Grants add up: one without a scope makes the scope worthless.",
        calls=(Cmdlet("Remove-ManagementRoleAssignment", {"Identity": name, "Confirm": False}),),
        needs=_EXCHANGE,
        depends_on=("scoped-role:",),
        findings=(finding,),
    )


def _mailbox_permission(address: str, trustee: str, *, mapped: bool = False) -> Cmdlet:
    return Cmdlet(
        "Add-MailboxPermission",
        {
            "Identity": address,
            "User": trustee,
            "AccessRights": FULL_ACCESS,
            "InheritanceType": "All",
            "AutoMapping": mapped,
            "Confirm": False,
        },
    )


def _send_as(address: str, trustee: str) -> Cmdlet:
    parameters = {"Identity": address, "Trustee": trustee, "AccessRights": ["SendAs"], "Confirm": False}
    return Cmdlet("Add-RecipientPermission", parameters)


def _principal_names(observed: Observed) -> frozenset[str]:
    own = observed.principal.id.lower() if observed.principal else ""
    known = [one.names for one in observed.exchange_principals if one.object_id.lower() == own]
    return frozenset({own} - {""}).union(*known)


def _normal(opath: str) -> str:
    """Exchange shows a filter with brackets of its own, and in its own spacing."""
    return " ".join(opath.replace("(", " ").replace(")", " ").split()).casefold()
