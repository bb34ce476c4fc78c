"""The route that receives segments: one per request, in any order, many in parallel."""

from __future__ import annotations

from aiohttp import web

from gateway import access
from gateway.api.shared import segment_number
from gateway.api.views import segment_view
from gateway.error_codes import TEMP_VOLUME_ERRORS, UPLOAD_LOOKUP_ERRORS
from gateway.http import bodies, digests
from gateway.http.envelope import success
from gateway.ids import upload_id
from gateway.keys import SERVICES
from gateway.routing import RequestHeader, ResponseSpec, Route
from schemas.digests import CONTENT_DIGEST_PATTERN, MD5_PATTERN
from schemas.uploads import SegmentView


async def put(request: web.Request) -> web.StreamResponse:
    """Checks everything that does not need the body before it requests the body's first byte."""
    number = segment_number(request)
    bodies.refuse_encoded(request)
    content_md5, content_digest = request.headers.get("Content-MD5"), request.headers.getall("Content-Digest", [])
    announced = digests.announced(content_md5, content_digest)
    receiver = request.app[SERVICES].receiver
    slot = await receiver.open(upload_id(request), number, bodies.declared_bytes(request))
    receipt = await receiver.receive(
        slot, bodies.chunks(request), announced, defers_md5=content_md5 is not None and not content_digest
    )
    return success(segment_view(receipt))


ROUTES: tuple[Route, ...] = (
    Route(
        "PUT",
        "/v1/uploads/{id}/segments/{number}",
        put,
        "Uploads",
        "Send a segment",
        "The body is the raw bytes of segment `number`. Segments may be sent in any order and in parallel. Every "
        "segment except the last is `segment_size` bytes long. Sending a received segment again is harmless. While the "
        "upload is `waiting`, the response is UPLOAD_WAITING with `Retry-After`, and while the temp volume has no room "
        "for this segment, SEGMENT_WINDOW_FULL; with `Expect: 100-continue` this costs no body bytes. When a body is "
        "refused before its end, the connection is closed.",
        responses=(ResponseSpec(200, "The segment was received", SegmentView),),
        errors=(
            *UPLOAD_LOOKUP_ERRORS,
            "TRANSPORT_DIFFERS",
            "UPLOAD_WAITING",
            "SEGMENT_WINDOW_FULL",
            "UPLOAD_ENDED",
            "SEGMENT_OUT_OF_RANGE",
            "SEGMENT_LENGTH_WRONG",
            "UPLOAD_LENGTH_REQUIRED",
            "SEGMENT_DIGEST_WRONG",
            "SEGMENT_DIFFERS",
            "SEGMENT_STALLED",
            "SEGMENT_CUT_OFF",
            "DIGEST_NOT_SUPPORTED",
            "ENCODING_NOT_SUPPORTED",
            "VALIDATION_FAILED",
            *TEMP_VOLUME_ERRORS,
            "TEMP_FILE_MISSING",
        ),
        request_headers=(
            RequestHeader(
                "Content-MD5",
                "Base64 of the body's MD5. Where the object store compares it (Swift, S3), the gateway passes it on "
                "and responds before it is known whether it matches. If it does not, the segment is soon in "
                "`missing_segments` and in `wrong_digests` of the upload, and is to be sent again; a further one that "
                "is wrong is refused at once. For a response that says whether it matches, send Content-Digest.",
                {"type": "string", "pattern": MD5_PATTERN, "examples": ["1B2M2Y8AsgTpgAmY7PhCfg=="]},
            ),
            RequestHeader(
                "Content-Digest",
                "Digest of the body (RFC 9530): sha-256, crc32c or md5. A segment counts as received only if it "
                "matches. Other algorithms are ignored if one of these is present.",
                {
                    "type": "string",
                    "pattern": CONTENT_DIGEST_PATTERN,
                    "examples": ["sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"],
                },
            ),
        ),
        raw_body="The segment's raw bytes, without Content-Encoding",
        new_work=True,
        access=access.SEND,
    ),
)
