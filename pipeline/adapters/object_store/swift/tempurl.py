"""TempURLs: the right to one request on one Swift object (or on every object under a prefix) until a given second.

Guarantee: pure functions, whose result is accepted by Swift's own rule (swift/common/middleware/tempurl.py, and
`get_hmac` in swift/common/digest.py; the unit test checks against a copy of that rule) and by Ceph's
(rgw_swift_auth.cc, `TempURLEngine::authenticate`: the path with or without the prefix that Ceph has before `/v1`). What
is signed is the path as the object server knows it: from `/v1` on, not quoted; without an account where the storage URL
has none. In the URL the same path is percent-encoded, and a load balancer may put a prefix before `/v1`.

A TempURL for GET also allows HEAD. Anyone who has a TempURL may use it until it expires; the only way to revoke it is
to change the key on the container.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import quote, unquote

from pipeline.adapters.object_store.swift.account import account_path
from pipeline.core.errors import StoreError

TempUrlDigest = Literal["sha256", "sha512", "sha1"]
"""The strongest that every server allows comes first. Of `sha1` an operator has to approve."""
TempUrlMethod = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]

KEY_HEADER = "X-Container-Meta-Temp-URL-Key"


@dataclass(frozen=True, slots=True, repr=False)
class TempUrlSigner:
    """Signs with one key. `digest`: every Swift since 2.13 allows sha256; sha512 where the operator wants it; sha1
    where the server has nothing else and the operator accepts it."""

    key: str
    digest: TempUrlDigest = "sha256"

    def allowed_by(self, allowed: frozenset[str] | None) -> TempUrlSigner | None:
        """This signer, with a digest that the cluster allows (None: it does not say); None when it allows no digest
        that we may use. With `sha1` a stronger digest is used where the cluster allows one."""
        if allowed is None:
            return self
        preferred = [] if self.digest == "sha1" else [self.digest]
        for digest in (*preferred, *get_args(TempUrlDigest)):
            if digest in allowed and (digest != "sha1" or self.digest == "sha1"):
                return replace(self, digest=digest)
        return None

    def sign(
        self,
        storage_url: str,
        path: str,
        *,
        method: TempUrlMethod,
        expires_at: int,
        prefix: str | None = None,
        filename: str | None = None,
        inline: bool = False,
    ) -> str:
        """The URL that allows `method` on `path` until `expires_at` (Unix time, seconds).

        `storage_url` is the account's URL as the login returned it, `path` the quoted `/container/object` below it.
        `prefix` (not quoted, relative to the container; "" is the whole container) signs for every object whose name
        begins with it: a client may put another such name into the URL. `filename` and `inline` decide the
        Content-Disposition of the response; they are not signed. Raises StoreError STORE_REJECTED when the storage URL
        has no `/v1` or the object is not under the prefix.
        """
        account_quoted = account_path(storage_url)
        if account_quoted is None:
            raise StoreError("STORE_REJECTED", reason=f"'{storage_url}' has no /v1, so no TempURL can be signed")
        account = unquote(account_quoted)
        container, _, name = unquote(path).removeprefix("/").partition("/")
        signed = f"{account}/{container}/{name}"
        if prefix is not None:
            if not name.startswith(prefix):
                raise StoreError("STORE_REJECTED", reason=f"'{name}' is not under the prefix '{prefix}'")
            signed = f"prefix:{account}/{container}/{prefix}"
        query = [f"temp_url_sig={quote(self._signature(method, expires_at, signed), safe='')}"]
        query.append(f"temp_url_expires={expires_at}")
        if prefix is not None:
            query.append(f"temp_url_prefix={quote(prefix, safe='')}")
        if filename:
            query.append(f"filename={quote(filename, safe='')}")
        if inline:
            query.append("inline")
        return f"{storage_url.rstrip('/')}{path}?{'&'.join(query)}"

    def _signature(self, method: str, expires_at: int, signed: str) -> str:
        """Hexadecimal for sha256 and sha1, the only form that old Swifts know; `sha512:` and base64 for sha512, as the
        middleware documents."""
        message = f"{method}\n{expires_at}\n{signed}".encode()
        mac = hmac.new(self.key.encode(), message, getattr(hashlib, self.digest))
        if self.digest != "sha512":
            return mac.hexdigest()
        return f"{self.digest}:{base64.urlsafe_b64encode(mac.digest()).decode()}"
