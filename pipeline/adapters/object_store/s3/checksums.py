"""Whether a store compares a part with a CRC-32C that is sent with it. If so, the MD5 of a part is not computed here.

Neither a name nor a version says that, and a store may well ignore the header. So the first part of a process is
preceded by one byte with a wrong CRC-32C, in the same place: a store that refuses it compares. The first part itself is
sent with both digests. If the store's ETag is the MD5, as `S3Options.verify` says, later parts are sent with the
CRC-32C alone, and their ETags, which the manifest needs, are taken as they are.

Amazon accepts the CRC-32C of a part only where the multipart upload was created with that algorithm, and then requires
those of all parts at completion, also of parts that clients have sent themselves. It refuses the byte with another
code, and is sent parts without a CRC-32C. So is what does not support it: Ceph 16 ignores the header.

Of a whole object, a store may keep a CRC-32C: where its sender has sent one. HeadObject returns it.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Final

from pipeline.core.errors import DigestRefused, StoreError, StoreUnavailable

CRC32C_HEADER: Final = "x-amz-checksum-crc32c"


class _Knowledge(Enum):
    NONE = "none"
    ASKING = "asking"
    COMPARES = "compares"
    """It compares CRC-32Cs; what its ETags are is not known yet."""
    TRUSTED = "trusted"
    IGNORES = "ignores"


class PartChecksums:
    """What a process knows of one store."""

    def __init__(self) -> None:
        self._known = _Knowledge.NONE

    @property
    def trusted(self) -> bool:
        """Whether a part needs no MD5."""
        return self._known is _Knowledge.TRUSTED

    async def compared(self, put_wrong: Callable[[], Awaitable[None]]) -> bool:
        """Whether to send a CRC-32C with a part. `put_wrong` sends one byte with a wrong one; the first caller finds
        out, and meanwhile others do without."""
        if self._known is _Knowledge.NONE:
            self._known = _Knowledge.ASKING
            try:
                self._known = await _refuses(put_wrong)
            finally:
                if self._known is _Knowledge.ASKING:
                    self._known = _Knowledge.NONE
        return self._known in (_Knowledge.COMPARES, _Knowledge.TRUSTED)

    def confirm(self) -> None:
        """A part was stored with a CRC-32C, and its ETag is what it must be."""
        if self._known is _Knowledge.COMPARES:
            self._known = _Knowledge.TRUSTED

    def withdraw(self) -> None:
        """The store no longer takes a CRC-32C."""
        self._known = _Knowledge.IGNORES


async def _refuses(put_wrong: Callable[[], Awaitable[None]]) -> _Knowledge:
    """Raises StoreUnavailable, and StoreErrors that are not about the CRC-32C."""
    try:
        await put_wrong()
    except DigestRefused:
        return _Knowledge.COMPARES
    except StoreUnavailable:
        raise
    except StoreError as error:
        if error.code != "STORE_REJECTED":
            raise
    return _Knowledge.IGNORES


def crc32c_text(crc32c: int) -> str:
    """The value of that header: four bytes, big-endian, in Base64."""
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def object_crc32c(response: Mapping[str, Any], etag: str) -> int | None:
    """The CRC-32C of all bytes of an object, of the response to HeadObject; None: the store keeps none. That of a
    multipart upload may be one of its parts' checksums (`ChecksumType` COMPOSITE), which says nothing of the bytes in
    order; a store that does not say which has only that one."""
    kind = response.get("ChecksumType") or ("COMPOSITE" if "-" in etag else "FULL_OBJECT")
    if kind != "FULL_OBJECT":
        return None
    try:
        value = base64.b64decode(str(response.get("ChecksumCRC32C") or ""), validate=True)
    except ValueError:  # binascii.Error is one
        return None
    return int.from_bytes(value, "big") if len(value) == 4 else None
