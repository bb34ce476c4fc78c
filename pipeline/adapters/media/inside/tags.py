"""The tags that are kept, from a file's own and, in Ogg, from its first stream's."""

from __future__ import annotations

from av.container import InputContainer

from pipeline.adapters.media.inside.values import text

_NAMES = (
    "title", "artist", "album", "album_artist", "composer", "genre", "track", "date", "creation_time",
    "comment", "copyright", "encoder", "make", "model", "software",
)  # fmt: skip
_APPLE = "com.apple.quicktime."  # phones write make, model and software with this prefix


def selected_tags(media: InputContainer) -> dict[str, str]:
    """At most one value per name, in a fixed order. A value is kept whatever it says: a title may be `unknown`."""
    found: dict[str, str] = {}
    for tags in (media.metadata, *(stream.metadata for stream in list(media.streams)[:1])):
        for key, value in tags.items():
            name = key.lower().removeprefix(_APPLE).replace("creationdate", "creation_time")
            if name in _NAMES and name not in found and (words := text(value)):
                found[name] = words
    return {name: found[name] for name in _NAMES if name in found}
