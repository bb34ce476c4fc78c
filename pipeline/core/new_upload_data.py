"""A new upload as JSON-serialisable data, as the first entry of its journal keeps it.

Guarantee: `from_data(to_data(new)) == new`, apart from `traceparent`. What a release does not know makes it raise,
since nothing that an upload was registered with may be ignored. `traceparent` is left out for that reason: it
is an entry of its own, `Traced`, which the previous release skips.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import asdict
from typing import Any

from pipeline.core.access import Permit
from pipeline.core.model import ClientDigest, Deferred, NewUpload, Part
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport


def to_data(new: NewUpload) -> dict[str, Any]:
    data = asdict(new) | {"permit": new.permit.to_data() if new.permit else None}
    del data["traceparent"]
    if new.digest:
        data["digest"] = [new.digest.algorithm, b64encode(new.digest.value).decode()]
    if new.deferred is None:
        del data["deferred"], data["most_bytes"]  # a release that does not know the fields can read the journal
    if not new.parts:
        del data["parts"], data["concat"]  # as above
    return data


def from_data(data: dict[str, Any]) -> NewUpload:
    digest = data["digest"]
    source = data["source"]
    permit = data.get("permit")
    deferred = data.get("deferred")
    return NewUpload(
        **{
            **data,
            "digest": ClientDigest(digest[0], b64decode(digest[1])) if digest else None,
            "transport": Transport(data["transport"]),
            "source": ObjectVersion(**source) if source else None,
            "permit": Permit.from_data(permit) if permit else None,
            "deferred": Deferred(deferred) if deferred else None,
            "parts": tuple(Part(**part) for part in data.get("parts", ())),
        }
    )
