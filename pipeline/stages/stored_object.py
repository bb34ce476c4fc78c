"""A stored object as plain data: the results of stages are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.core.stored_objects import Place, StoredObject, StoredSegment


def stored_to_data(stored: StoredObject) -> dict[str, Any]:
    """Without its content type and the CRC-32Cs, which stages ask for where they need them: a release that does not
    know a field cannot read a result that has it."""
    data = {name: value for name, value in asdict(stored).items() if name not in ("content_type", "crc32c")}
    for segment in data["segments"]:
        del segment["crc32c"]
        if segment["place"] is None:
            del segment["place"]  # a release that does not know the field can read the result
    return data


def stored_from_data(data: Mapping[str, Any]) -> StoredObject:
    segments = tuple(
        StoredSegment(**{**item, "place": Place(**item["place"]) if item.get("place") else None})
        for item in data["segments"]
    )
    return StoredObject(**{**data, "segments": segments})
