"""The form of digests that clients send (RFC 9530), as patterns."""

from __future__ import annotations

from typing import Final

MD5_PATTERN: Final = r"^[A-Za-z0-9+/]{22}==$"
"""Content-MD5: base64 of 16 bytes."""

_KNOWN: Final = r"(sha-256=:[A-Za-z0-9+/]{43}=:|md5=:[A-Za-z0-9+/]{22}==:|crc32c=:[A-Za-z0-9+/]{6}==:)"

DIGEST_PATTERN: Final = f"^{_KNOWN}$"
"""One digest with an algorithm that is supported."""

CONTENT_DIGEST_PATTERN: Final = f"^{_KNOWN}(, ?{_KNOWN})*$"
"""One or more of them. Others are ignored if one of these is present, which the pattern does not express."""
