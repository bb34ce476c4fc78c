"""URLs derived from an account's storage URL.

Two forms are known: `https://host[/prefix]/v1/ACCOUNT`, and `https://host[/prefix]/v1` of servers that know the account
by the token only (Ceph's RADOS gateway without `rgw_swift_account_in_url`). A load balancer may put any prefix before
`/v1`; Ceph's own is `/swift`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_VERSION = "/v1"


def account_path(storage_url: str) -> str | None:
    """`/v1/ACCOUNT` or `/v1` of a storage URL, quoted as it is there; None when it has neither."""
    path = urlsplit(storage_url).path.rstrip("/")
    at = path.rfind(f"{_VERSION}/")
    if at < 0 and path.endswith(_VERSION):
        at = len(path) - len(_VERSION)
    return path[at:] if at >= 0 else None


def names_account(storage_url: str) -> bool:
    """Whether the URL contains the account, as with Swift itself."""
    return (account_path(storage_url) or "").count("/") > 1


def public_account(base_url: str, storage_url: str) -> str:
    """The account below `base_url` (scheme, host, a proxy's prefix), which may already end in the account's path; ""
    for no base. Of a storage URL without `/v1` the whole path is used."""
    if not base_url:
        return ""
    base = base_url.rstrip("/")
    path = account_path(storage_url) or urlsplit(storage_url).path.rstrip("/")
    if path and base.endswith(path):
        return base
    return base.removesuffix(_VERSION) + path


def info_urls(storage_url: str) -> list[str]:
    """Where the cluster may publish its capabilities: `/info` beside `/v1` (swift.proxy.controllers.info; Ceph:
    `/swift/info`), then below each shorter prefix, since a load balancer may rewrite only what lies below the
    prefix."""
    parts = urlsplit(storage_url)
    path = parts.path.rstrip("/")
    below = account_path(storage_url)
    prefix = path.removesuffix(below) if below is not None else path
    urls = []
    while True:
        urls.append(f"{parts.scheme}://{parts.netloc}{prefix}/info")
        if not prefix:
            return urls
        prefix = prefix.rpartition("/")[0]
