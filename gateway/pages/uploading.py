"""The page /upload: sends files from a browser, with the modules in `static` and the client in `client`."""

from __future__ import annotations

from gateway.pages.assets import page_route
from gateway.routing import Route

ROUTES: tuple[Route, ...] = (
    page_route(
        "/upload",
        "upload.html",
        "Upload files in a browser",
        "Takes files and folders, and shows each upload until it is `ready`. It asks for an API key or a permit, or "
        "takes it from the URL's fragment (`#key=...`, `#permit=...`), which browsers do not send to a server.",
    ),
)
