"""All pages, as `app.PAGES` hangs them. A room's `pages.py` offers `app_name` and `urlpatterns`."""

from __future__ import annotations

from django.urls import include, path

from postroom.app import PAGES

urlpatterns = [path(prefix, include(module)) for prefix, module in PAGES]
