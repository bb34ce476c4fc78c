"""A stored object as plain data: the results of stages are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.core.stored_objects import StoredObject, StoredSegment


def stored_to_data(stored: StoredObject) -> dict[str, Any]:
    """Without its content type, which only an import asks for."""
    return {name: value for name, value in asdict(stored).items() if name != "content_type"}


def stored_from_data(data: Mapping[str, Any]) -> StoredObject:
    segments = tuple(StoredSegment(**item) for item in data["segments"])
    return StoredObject(**{**data, "segments": segments})
