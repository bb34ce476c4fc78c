"""The tags that are kept: the file's own, and those of its first stream, where Ogg has them."""

from __future__ import annotations

from av.container import InputContainer

from pipeline.adapters.media.inside.values import text

_NAMES = (
    "title", "artist", "album", "album_artist", "composer", "genre", "track", "date", "creation_time",
    "comment", "copyright", "encoder", "make", "model", "software",
)  # fmt: skip
_APPLE = "com.apple.quicktime."  # phones write make, model and software with this prefix


def selected_tags(media: InputContainer, *, of_image: bool) -> dict[str, str]:
    """At most one value per name, in a fixed order. A value is kept whatever it says: a title may be `unknown`. The
    streams of an image are its parts, and their titles are not the picture's."""
    found: dict[str, str] = {}
    first = [] if of_image else [stream.metadata for stream in list(media.streams)[:1]]
    for tags in (media.metadata, *first):
        for key, value in tags.items():
            name = key.lower().removeprefix(_APPLE).replace("creationdate", "creation_time")
            if name in _NAMES and name not in found and (words := text(value)):
                found[name] = words
    return {name: found[name] for name in _NAMES if name in found}
