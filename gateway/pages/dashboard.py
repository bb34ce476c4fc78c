"""The page /dashboard: what operators see and do, drawn in the browser from the routes below /v1/status.

Guarantee: the page itself contains no data, so anyone may load it. It asks for a key with the scope `operate`, which
the browser keeps for this tab and sends in a header only.
"""

from __future__ import annotations

from gateway.pages.assets import page_route
from gateway.routing import Route

ROUTES: tuple[Route, ...] = (
    page_route(
        "/dashboard",
        "dashboard.html",
        "The dashboard",
        "Temp volumes, queues, stages, workers, failures, uploads with their timelines, and recent contents; live. It "
        "asks for a key with the scope `operate`, or takes it from the fragment: `/dashboard#key=...`.",
    ),
)
