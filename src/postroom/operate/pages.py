"""The addresses that probes and Prometheus ask of a process with a console."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from postroom.operate import probes
from postroom.operate.probes import Probe


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return _shown(probes.health())


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can do its work."""
    return _shown(probes.ready())


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For this machine, or with POSTROOM_METRICS_TOKEN."""
    return _shown(probes.measure(request.META.get("REMOTE_ADDR", ""), request.headers))


def _shown(probe: Probe) -> HttpResponse:
    return HttpResponse(probe.body, status=probe.status, content_type=probe.content_type)


app_name = "operate"
urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]
