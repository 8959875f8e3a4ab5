"""The forms of signing in and of people."""

from __future__ import annotations

from typing import Any

from django import forms

from postroom.accounts.choices import Role
from postroom.accounts.rules import ROLE_PURPOSES

_EMAIL = {"autocomplete": "username", "spellcheck": "false"}
_NEW_PASSWORD = {"autocomplete": "new-password"}
_PASSWORD_HELP = "At least 12 characters. A few words in a row are easier to keep in mind than symbols."


class SignInForm(forms.Form):
    email = forms.EmailField(label="E-mail", widget=forms.EmailInput({**_EMAIL, "autofocus": True}))
    password = forms.CharField(
        label="Password", strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )


class LinkForm(forms.Form):
    token = forms.CharField(
        label="Sign-in code",
        max_length=200,
        help_text="Filled in from the link. If it is empty, paste what stands after # in the link.",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "data-from-fragment": ""}),
    )


class FirstAdministratorForm(forms.Form):
    name = forms.CharField(label="Your name", max_length=200, widget=forms.TextInput({"autocomplete": "name"}))
    email = forms.EmailField(
        label="E-mail",
        help_text="You sign in with it, and test mails go there.",
        widget=forms.EmailInput(_EMAIL),
    )
    password = forms.CharField(
        label="Password", strip=False, help_text=_PASSWORD_HELP, widget=forms.PasswordInput(_NEW_PASSWORD)
    )


class PasswordForm(forms.Form):
    current = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )
    password = forms.CharField(
        label="New password", strip=False, help_text=_PASSWORD_HELP, widget=forms.PasswordInput(_NEW_PASSWORD)
    )

    def __init__(self, *args: Any, has_password: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_password:
            del self.fields["current"]


class PersonForm(forms.Form):
    email = forms.EmailField(label="E-mail", help_text="The sign-in name; test mails go there.")
    name = forms.CharField(label="Name", max_length=200, required=False)
    role = forms.ChoiceField(
        label="Role",
        choices=[(role.value, f"{role.label}: {ROLE_PURPOSES[role.value]}") for role in Role],
        initial=Role.READER.value,
        widget=forms.RadioSelect,
    )
