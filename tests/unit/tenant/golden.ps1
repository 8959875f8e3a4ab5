<#
.SYNOPSIS
  Exchange Online's part of the set-up Postroom, written by Postroom.
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
    [Parameter(Mandatory = $true)] [string] $ClientId,
    [Parameter(Mandatory = $true)] [string] $ServicePrincipalId
)
$ErrorActionPreference = 'Stop'
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12

if (-not (Get-Module -Name ExchangeOnlineManagement -ListAvailable)) {
    Install-Module -Name ExchangeOnlineManagement -Scope CurrentUser -Force -AllowClobber
}
Import-Module -Name ExchangeOnlineManagement
Connect-ExchangeOnline -Organization 'contoso.example' -ShowBanner:$false

function Wait-Until([scriptblock] $IsThere) {
    for ($try = 1; $try -le 60 -and -not (& $IsThere); $try++) { Start-Sleep -Seconds 5 }
}

# Make the service principal known to Exchange. Exchange keeps a list of its own; only who is on it can be given a right there.
Get-ServicePrincipal | Where-Object { $_.AppId -eq $ClientId -and $_.ObjectId -ne $ServicePrincipalId } | ForEach-Object {
    Remove-ServicePrincipal -Identity $_.ObjectId -Confirm:$false
}
if (-not (Get-ServicePrincipal | Where-Object { $_.ObjectId -eq $ServicePrincipalId })) {
    New-ServicePrincipal -AppId $ClientId -ObjectId $ServicePrincipalId -DisplayName 'Postroom'
}
Wait-Until { Get-ServicePrincipal | Where-Object { $_.ObjectId -eq $ServicePrincipalId } }

# Make the shared mailbox notifications@contoso.example. A shared mailbox needs no licence (unless auto-reply rules, an archive or over 50 GB are wanted).
if (-not (Get-Mailbox -Identity 'notifications@contoso.example' -ErrorAction SilentlyContinue)) {
    New-Mailbox -Shared -Name "Benachrichtigungen $([char]0x2013) M$([char]0x00FC)ller's" -DisplayName "Benachrichtigungen $([char]0x2013) M$([char]0x00FC)ller's" -Alias 'notifications' -PrimarySmtpAddress 'notifications@contoso.example'
}
Wait-Until { Get-Mailbox -Identity 'notifications@contoso.example' -ErrorAction SilentlyContinue }

# Give the application FullAccess to notifications@contoso.example. IMAP, POP3 and SMTP open a mailbox for an application only if it has this right on it.
Add-MailboxPermission -Identity 'notifications@contoso.example' -User $ServicePrincipalId -AccessRights 'FullAccess','ReadPermission' -InheritanceType 'All' -AutoMapping $false -Confirm:$false

# Let megan@contoso.example open notifications@contoso.example. It is wanted for this person.
Add-MailboxPermission -Identity 'notifications@contoso.example' -User 'megan@contoso.example' -AccessRights 'FullAccess','ReadPermission' -InheritanceType 'All' -AutoMapping $true -Confirm:$false

# Let lee@contoso.example send as notifications@contoso.example. It is wanted for this person.
Add-RecipientPermission -Identity 'notifications@contoso.example' -Trustee 'lee@contoso.example' -AccessRights 'SendAs' -Confirm:$false

# Let lee@contoso.example send on behalf of notifications@contoso.example. It is wanted for this person.
Set-Mailbox -Identity 'notifications@contoso.example' -GrantSendOnBehalfTo @{Add='lee@contoso.example'}

# Let mail from notifications@contoso.example bear billing@contoso.example as From. FullAccess does not include sending as another address; without Send As it is 554 SendAsDenied.
Add-RecipientPermission -Identity 'billing@contoso.example' -Trustee 'notifications@contoso.example' -AccessRights 'SendAs' -Confirm:$false
Add-RecipientPermission -Identity 'billing@contoso.example' -Trustee $ServicePrincipalId -AccessRights 'SendAs' -Confirm:$false

# Switch on what notifications@contoso.example is used by. A mailbox's own switch wins over the organisation's, so that only this mailbox is opened.
Set-CASMailbox -Identity 'notifications@contoso.example' -SmtpClientAuthenticationDisabled $false -ImapEnabled $true -PopEnabled $true

# Give the application FullAccess to adele@contoso.example. IMAP, POP3 and SMTP open a mailbox for an application only if it has this right on it.
Add-MailboxPermission -Identity 'adele@contoso.example' -User $ServicePrincipalId -AccessRights 'FullAccess','ReadPermission' -InheritanceType 'All' -AutoMapping $false -Confirm:$false

# Switch on what adele@contoso.example is used by. A mailbox's own switch wins over the organisation's, so that only this mailbox is opened.
Set-CASMailbox -Identity 'adele@contoso.example' -SmtpClientAuthenticationDisabled $false -ImapEnabled $true -PopEnabled $true

# Keep the application to its mailboxes: the scope 'Postroom'. Graph's permissions hold for every mailbox of the organisation; a scope holds for the ones named.
if (-not (Get-ManagementScope -Identity 'Postroom' -ErrorAction SilentlyContinue)) {
    New-ManagementScope -Name 'Postroom' -RecipientRestrictionFilter 'PrimarySmtpAddress -eq ''adele@contoso.example'' -or PrimarySmtpAddress -eq ''notifications@contoso.example'''
} else {
    Set-ManagementScope -Identity 'Postroom' -RecipientRestrictionFilter 'PrimarySmtpAddress -eq ''adele@contoso.example'' -or PrimarySmtpAddress -eq ''notifications@contoso.example'''
}

# Give the application the role Mail.Send within its scope. RBAC for Applications takes the place of an app role that holds for every mailbox.
if (-not (Get-ManagementRoleAssignment -Identity 'Postroom Mail.Send' -ErrorAction SilentlyContinue)) {
    New-ManagementRoleAssignment -Name 'Postroom Mail.Send' -Role 'Application Mail.Send' -App $ServicePrincipalId -CustomResourceScope 'Postroom'
}

# Give the application the role Mail.ReadWrite within its scope. RBAC for Applications takes the place of an app role that holds for every mailbox.
if (-not (Get-ManagementRoleAssignment -Identity 'Postroom Mail.ReadWrite' -ErrorAction SilentlyContinue)) {
    New-ManagementRoleAssignment -Name 'Postroom Mail.ReadWrite' -Role 'Application Mail.ReadWrite' -App $ServicePrincipalId -CustomResourceScope 'Postroom'
}

# What to send back to whoever runs Postroom.
[pscustomobject]@{ client_id = $ClientId; service_principal_id = $ServicePrincipalId } | ConvertTo-Json
Disconnect-ExchangeOnline -Confirm:$false
