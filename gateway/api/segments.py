"""The route that takes the bytes: one segment per request, any order, many at once."""

from __future__ import annotations

from aiohttp import web

from gateway.api.shared import upload_id
from gateway.api.views import segment_view
from gateway.http import bodies, digests
from gateway.http.envelope import success
from gateway.options import SERVICES
from gateway.routing import Answer, Header, Route
from schemas.uploads import SegmentView


async def put(request: web.Request) -> web.StreamResponse:
    """Everything that can be refused is refused before the first byte of the body is asked for."""
    number = _number(request)
    bodies.refuse_encoded(request)
    announced = digests.announced(request.headers.get("Content-MD5"), request.headers.getall("Content-Digest", []))
    receiver = request.app[SERVICES].receiver
    slot = await receiver.open(upload_id(request), number, bodies.declared_bytes(request))
    receipt = await receiver.receive(slot, bodies.chunks(request), announced)
    return success(segment_view(receipt))


def _number(request: web.Request) -> int:
    text = request.match_info["number"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise bodies.invalid_field("number", "Must be a whole number from 1")
    return int(text)


ROUTES: tuple[Route, ...] = (
    Route(
        "PUT",
        "/v1/uploads/{id}/segments/{number}",
        put,
        "Uploads",
        "Send a segment",
        "The raw bytes of segment `number`, in any order, many at once. Every segment but the last is `segment_size` "
        "long. Sending one that is already here is harmless. While the upload is `waiting` the answer is "
        "UPLOAD_WAITING with `Retry-After`; with `Expect: 100-continue` that costs no byte. The connection is closed "
        "after a refusal in the middle of a body.",
        answers=(Answer(200, "The segment is here", SegmentView),),
        errors=(
            "UPLOAD_NOT_FOUND",
            "TRANSPORT_DIFFERS",
            "UPLOAD_WAITING",
            "UPLOAD_ENDED",
            "SEGMENT_OUT_OF_RANGE",
            "SEGMENT_LENGTH_WRONG",
            "SEGMENT_DIGEST_WRONG",
            "SEGMENT_DIFFERS",
            "SEGMENT_STALLED",
            "SEGMENT_CUT_OFF",
            "DIGEST_NOT_SUPPORTED",
            "ENCODING_NOT_SUPPORTED",
            "VALIDATION_FAILED",
            "REDIS_UNAVAILABLE",
            "TEMP_VOLUME_FULL",
            "TEMP_VOLUME_FAILED",
            "TEMP_FILE_MISSING",
        ),
        headers=(
            Header(
                "Content-MD5",
                "Base64 of the MD5 of the body; verified before the segment counts as received.",
                {"type": "string", "examples": ["1B2M2Y8AsgTpgAmY7PhCfg=="]},
            ),
            Header(
                "Content-Digest",
                "Digest of the body as in RFC 9530, verified likewise: sha-256, crc32c or md5. Others beside one of "
                "these are ignored.",
                {"type": "string", "examples": ["sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"]},
            ),
        ),
        raw_body="The segment's bytes as they are, without Content-Encoding",
        new_work=True,
    ),
)
