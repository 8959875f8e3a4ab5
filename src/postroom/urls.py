"""All pages, as `app.PAGES` hangs them. A room's `pages.py` offers `app_name` and `urlpatterns`."""

from __future__ import annotations

from django.urls import include, path

from postroom.app import PAGES

urlpatterns = [path(prefix, include(module)) for prefix, module in PAGES]

handler400 = "postroom.console.errors.bad_request"
handler403 = "postroom.console.errors.forbidden"
handler404 = "postroom.console.errors.not_found"
handler500 = "postroom.console.errors.server_error"
