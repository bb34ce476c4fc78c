"""Content-Disposition for a file name in any script (RFC 6266, RFC 8187): pure.

Guarantee: the header is ASCII, whatever the name is. A name that needs nothing else stands in `filename` alone; any
other stands, exact, in `filename*`, which every browser since 2012 prefers, with an ASCII stand-in in `filename` for
the rest. The stand-in holds no quote, backslash or percent sign: clients disagree on how to read those (RFC 6266
appendix D).
"""

from __future__ import annotations

import string
from urllib.parse import quote

# attr-char of RFC 8187 section 3.2.1, beside letters and digits, which `quote` never touches.
_ATTRIBUTE_SAFE = "!#$&+-.^_`|~"
_PLAIN = frozenset(string.ascii_letters + string.digits + _ATTRIBUTE_SAFE + " '(),;=@[]{}")


def content_disposition(filename: str, *, inline: bool) -> str:
    """The header's value: to be shown where it is (`inline`), or saved under `filename` (attachment)."""
    kind = "inline" if inline else "attachment"
    stand_in = "".join(character if character in _PLAIN else "_" for character in filename)
    if stand_in == filename:
        return f'{kind}; filename="{filename}"'
    exact = quote(filename, safe=_ATTRIBUTE_SAFE, encoding="utf-8", errors="replace")
    return f"{kind}; filename=\"{stand_in}\"; filename*=UTF-8''{exact}"
