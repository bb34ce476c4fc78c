"""Content-Disposition for a file name in any script (RFC 6266, RFC 8187).

Guarantee: the header is ASCII for any name. A name that needs no encoding is sent in `filename` alone. Any other name
is sent exactly in `filename*`, which every browser since 2012 prefers, with an ASCII fallback in `filename`. The
fallback contains no quote, backslash or percent sign, because clients interpret them differently (RFC 6266 appendix D).
"""

from __future__ import annotations

import string
from urllib.parse import quote

# attr-char of RFC 8187 section 3.2.1, except letters and digits, which `quote` never encodes.
_ATTRIBUTE_SAFE = "!#$&+-.^_`|~"
_PLAIN = frozenset(string.ascii_letters + string.digits + _ATTRIBUTE_SAFE + " '(),;=@[]{}")


def content_disposition(filename: str, *, inline: bool) -> str:
    """The header's value: `inline` asks the client to display the file, otherwise to save it as `filename`."""
    kind = "inline" if inline else "attachment"
    fallback = "".join(character if character in _PLAIN else "_" for character in filename)
    if fallback == filename:
        return f'{kind}; filename="{filename}"'
    exact = quote(filename, safe=_ATTRIBUTE_SAFE, encoding="utf-8", errors="replace")
    return f"{kind}; filename=\"{fallback}\"; filename*=UTF-8''{exact}"
