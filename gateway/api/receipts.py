"""Routes of receipts: signed statements of a content's digests, and the public keys that verify them."""

from __future__ import annotations

from aiohttp import web

from gateway import access
from gateway.api.shared import sees
from gateway.error_codes import CONTENT_LOOKUP_ERRORS
from gateway.http.envelope import success
from gateway.ids import content_id
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from schemas.receipts import ReceiptKeys, ReceiptView

_JWK_SET = "application/jwk-set+json"
_KEYS_SECONDS = 300


async def receipt(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    content = await services.contents.get(content_id(request), sees(request))
    return success(await services.receipts.issue(content))


async def keys(request: web.Request) -> web.StreamResponse:
    """Without the envelope: JOSE libraries read it from its URL."""
    found = ReceiptKeys(keys=list(request.app[SERVICES].receipts.keys))
    headers = {"Cache-Control": f"max-age={_KEYS_SECONDS}"}
    return web.Response(body=found.model_dump_json().encode(), content_type=_JWK_SET, headers=headers)


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/contents/{id}/receipt",
        receipt,
        "Contents",
        "Issue a receipt",
        "What the content consists of: its size, its digests, and the size and CRC-32C of each segment, signed with "
        "the server's key. The holder can prove later what was taken in; `sluice receipt verify` and every JOSE "
        "library verify it. RECEIPTS_NOT_OFFERED where no key is configured; `links.receipt` of the content is null "
        "then.",
        responses=(ResponseSpec(200, "The receipt", ReceiptView),),
        errors=("RECEIPTS_NOT_OFFERED", *CONTENT_LOOKUP_ERRORS),
        access=access.READ,
    ),
    Route(
        "GET",
        "/v1/receipt-keys",
        keys,
        "Contents",
        "List the keys of receipts",
        "The public keys that verify receipts, as a JWK Set without the envelope. Receipts are signed with the first "
        "one. Keep a copy where receipts are kept: who verifies a receipt has to trust these keys.",
        responses=(ResponseSpec(200, "The keys", ReceiptKeys, media_type=_JWK_SET, bare=True),),
        access=access.PUBLIC,
    ),
)
