"""Advice for what a store cannot do: the settings of that store, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.core.capabilities import CLIENT_CAPABILITIES, Capability, Examined
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class StoreAdvice:
    """What to check in one kind of store. `grants`: for URLs that do not work; `grants_off`: where it makes none;
    `verify`: where what was stored is not confirmed; `listing`, `deleting`: where the right to do so is missing."""

    login: str
    container: str
    verify: str
    listing: str
    deleting: str
    grants: str
    grants_off: str


_ADVICE: Final[Mapping[str, StoreAdvice]] = {
    "swift": StoreAdvice(
        login="Check SLUICE_SWIFT_USER, SLUICE_SWIFT_PASSWORD and the other SLUICE_SWIFT_* settings.",
        container="Check that this user may create and write the container SLUICE_SWIFT_CONTAINER and the container of "
        "its segments, and that the proxy's pipeline contains slo.",
        verify="Check that nothing between Sluice and Swift changes bodies or ETags.",
        listing="Check that this user may list both containers.",
        deleting="Check that this user may delete objects in both containers.",
        grants="Check SLUICE_SWIFT_PUBLIC_URL, that the proxy's pipeline contains tempurl, and that its "
        "allowed_digests include SLUICE_SWIFT_TEMPURL_DIGEST. A file of several segments needs "
        "SLUICE_SWIFT_TEMPURL_KEY on the account.",
        grants_off="Set SLUICE_SWIFT_TEMPURL_KEY to offer it; files of several segments need the key on the account. "
        "A cluster that allows only SHA-1 needs SLUICE_SWIFT_TEMPURL_DIGEST=sha1, too.",
    ),
    "s3": StoreAdvice(
        login="Check SLUICE_S3_ACCESS_KEY, SLUICE_S3_SECRET_KEY and SLUICE_S3_REGION.",
        container="Check SLUICE_S3_BUCKET and SLUICE_S3_ADDRESSING, and that this user may write to the bucket. With "
        "SLUICE_S3_CHECKSUMS=when_supported, try when_required.",
        verify="If the store's ETags are not MD5 digests (SSE-KMS), set SLUICE_S3_VERIFY=content-md5.",
        listing="Grant s3:ListBucket, s3:ListBucketMultipartUploads and s3:ListMultipartUploadParts.",
        deleting="Grant s3:DeleteObject and s3:AbortMultipartUpload.",
        grants="Check SLUICE_S3_PUBLIC_URL, SLUICE_S3_REGION and SLUICE_S3_ADDRESSING, and that no proxy changes the "
        "Host header, the path or the query.",
        grants_off="",
    ),
    "filesystem": StoreAdvice(
        login="Make SLUICE_FILESYSTEM_DIR writable for Sluice's user.",
        container="Make SLUICE_FILESYSTEM_DIR writable for Sluice's user, and check the space on its disk.",
        verify="Check the disk of SLUICE_FILESYSTEM_DIR.",
        listing="Make every directory in SLUICE_FILESYSTEM_DIR readable for Sluice's user.",
        deleting="Make every directory in SLUICE_FILESYSTEM_DIR writable for Sluice's user.",
        grants="",
        grants_off="",
    ),
}

_UNREACHABLE = " If clients reach this URL and only this machine does not, set SLUICE_STORE_GRANTS=trusted."


def where(settings: Settings) -> str:
    """Which store the settings name."""
    return {
        "swift": f"SLUICE_SWIFT_AUTH_URL is {settings.swift_auth_url}, SLUICE_SWIFT_CONTAINER is "
        f"{settings.swift_container}.",
        "s3": f"SLUICE_S3_ENDPOINT_URL is {settings.s3_endpoint_url or 'empty (Amazon)'}, SLUICE_S3_BUCKET is "
        f"{settings.s3_bucket}.",
        "filesystem": f"SLUICE_FILESYSTEM_DIR is {settings.filesystem_dir}.",
    }[settings.store]


def advice(found: Examined, settings: Settings) -> str:
    """What to check or to set for one capability that does not work; "" where nothing can be done."""
    about = _ADVICE[settings.store]
    if found.capability in CLIENT_CAPABILITIES:
        if not found.offered:
            return about.grants_off
        return about.grants + (_UNREACHABLE if "no response" in found.reason else "")
    if found.code == "STORE_AUTH_FAILED" and found.capability is Capability.WRITE:
        return f"{about.login} {where(settings)}"
    if found.code == "STORE_UNAVAILABLE" and "etag" not in found.reason:
        return f"Check that it is running and reachable from this machine. {where(settings)}"
    if found.transient:
        return about.verify
    if found.capability is Capability.LIST:
        return about.listing
    if found.capability is Capability.DELETE:
        return about.deleting
    if found.capability is Capability.RANGED_READ:
        return "Check that no proxy between Sluice and the store ignores the Range header or changes bodies."
    return f"{about.container} {where(settings)}"
