"""The table of docs/access.md: every route against every kind of caller, from the declarations in the route table.

Guarantee: the table says what `gateway.authentication` does; an integration test sends every request of it to a running
gateway and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from gateway.access import STORE
from gateway.app import ALL_ROUTES
from gateway.routing import Route
from pipeline.core.access import Caller, Permit, Scope, TokenKind

OWNER: Final = "alice"
OTHER: Final = "bob"
THIS: Final = "this"
"""The id in the path, of something that belongs to OWNER."""
ANOTHER: Final = "another"
"""The id of another upload of the same owner."""

_BOTH: Final = frozenset({Scope.UPLOAD, Scope.READ})


def _token(kind: TokenKind, upload_id: str | None) -> Caller:
    return Caller(OWNER, frozenset(), str(kind), kind, upload_id)


def _permit(upload_id: str | None) -> Caller:
    """`upload_id`: of the upload that the permit has created; a real permit does not name it."""
    return replace(_token(TokenKind.PERMIT, upload_id), permit=Permit("id", 0))


CALLERS: Final[Mapping[str, Caller | None]] = {
    "no key": None,
    "wrong key": None,
    "expired key": None,
    "key of another owner": Caller(OTHER, _BOTH, "key"),
    "key of the owner": Caller(OWNER, _BOTH, "key"),
    "key with `read` only": Caller(OWNER, frozenset({Scope.READ}), "key"),
    "key with `operate` only": Caller(OTHER, frozenset({Scope.OPERATE}), "key"),
    "token of this upload": _token(TokenKind.UPLOAD, THIS),
    "token of another upload": _token(TokenKind.UPLOAD, ANOTHER),
    "permit of this upload": _permit(THIS),
    "another permit": _permit(ANOTHER),
    "ticket": _token(TokenKind.TICKET, THIS),
    "link": _token(TokenKind.LINK, THIS),
}
"""Column -> the caller; None: one whose credential is missing or not valid. Tickets and links come in the URL."""

YES: Final = "yes"


def verdict(route: Route, caller: Caller | None) -> str:
    """`yes`, or the status of the refusal."""
    if route.access.anyone:
        return YES
    if caller is None:
        return "401"
    in_url = caller.token in (TokenKind.TICKET, TokenKind.LINK)
    if in_url and caller.token not in route.access.in_url:
        return "401"
    if not route.access.permits(caller):
        return "403"
    if "{webhook}" in route.path:
        return YES if caller.sees in (None, OWNER) else "404"
    if "{id}" not in route.path:
        return YES
    if caller.token is not None:
        return YES if caller.upload_id == THIS else "404"
    return YES if caller.sees in (None, OWNER) else "404"


def access_table(routes: Iterable[Route] = ALL_ROUTES) -> str:
    """In Markdown."""
    rows = [f"| route | {' | '.join(CALLERS)} |", "|---|" + "---|" * len(CALLERS)]
    for route in routes:
        own = route.access is STORE
        verdicts = ["secret" if own else verdict(route, caller) for caller in CALLERS.values()]
        rows.append(f"| `{route.method} {route.path}` | {' | '.join(verdicts)} |")
    return "\n".join(rows)
