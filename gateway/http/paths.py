"""Keeps tokens out of the paths that are logged and returned."""

from __future__ import annotations

import re
from typing import Final

# Every token is a JWT: its header is a JSON object in base64url.
_TOKEN: Final = re.compile(r"eyJ[\w-]+(?:\.[\w-]*){0,2}")


def without_tokens(path: str) -> str:
    """The path of a URL, with `[token]` in place of every token in it: those who read logs must not use it."""
    return _TOKEN.sub("[token]", path)
