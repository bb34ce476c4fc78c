"""What a store can do, as an examination of the real store found it, and what follows where it cannot.

Guarantee: a capability that `StoreReport.works` confirms has been seen to return the right bytes. What was not examined
is not confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.core.segments import StoreLimits


class Capability(StrEnum):
    """One thing that Sluice does with a store, or that a client does with a URL presigned for it."""

    WRITE = "write"
    RANGED_READ = "ranged read"
    LIST = "list"
    SEGMENTS = "segments"
    DELETE = "delete"
    PRESIGNED_PUT = "presigned PUT"
    PRESIGNED_GET = "presigned GET"
    PRESIGNED_GET_JOINED = "presigned GET of joined segments"
    PRESIGNED_GET_SEGMENT = "presigned GET of one segment"


class Verdict(StrEnum):
    """`fallback`: Sluice does the same in another way."""

    WORKS = "works"
    FALLBACK = "works with a fallback"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class CapabilitySpec:
    """`required`: Sluice cannot work without it. `without`: what follows where it does not work; `fallback`: that this
    is the same service in another way."""

    required: bool
    without: str
    fallback: bool = False


CAPABILITIES: Mapping[Capability, CapabilitySpec] = {
    Capability.WRITE: CapabilitySpec(True, "No upload can be stored."),
    Capability.RANGED_READ: CapabilitySpec(True, "Downloads through the gateway and imports fail."),
    Capability.LIST: CapabilitySpec(True, "Data of cancelled uploads and deleted contents is not found and removed."),
    Capability.SEGMENTS: CapabilitySpec(True, "No file of more than one segment can be stored."),
    Capability.DELETE: CapabilitySpec(True, "Contents cannot be deleted; they remain as pending deletions."),
    Capability.PRESIGNED_PUT: CapabilitySpec(
        False, "Direct uploads are refused with TRANSPORT_NOT_OFFERED; uploads through the gateway work."
    ),
    Capability.PRESIGNED_GET: CapabilitySpec(
        False, "Downloads of files of one segment, and thumbnails, are streamed through the gateway.", fallback=True
    ),
    Capability.PRESIGNED_GET_JOINED: CapabilitySpec(
        False, "Downloads of files of several segments are streamed through the gateway.", fallback=True
    ),
    Capability.PRESIGNED_GET_SEGMENT: CapabilitySpec(
        False, "The URLs of `/segments` lead to the gateway.", fallback=True
    ),
}

CLIENT_CAPABILITIES = tuple(capability for capability, spec in CAPABILITIES.items() if not spec.required)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found about one capability. `reason` is empty where it works. `offered` is False where the store is not
    configured for it, so that nothing is wrong. `transient`: the store failed in a way that may pass, so nothing is
    known. `code`: of the store's error, if there was one."""

    capability: Capability
    works: bool
    reason: str = ""
    offered: bool = True
    transient: bool = False
    code: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.works:
            return Verdict.WORKS
        return Verdict.FALLBACK if CAPABILITIES[self.capability].fallback else Verdict.MISSING


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What one examination found. `description`: which store it was, in a sentence. `left`: names of round trips whose
    objects could not be removed."""

    store: str
    description: str
    limits: StoreLimits | None
    examined: tuple[Examined, ...]
    left: frozenset[str] = frozenset()

    def of(self, capability: Capability) -> Examined | None:
        """None: it was not examined."""
        return next((found for found in self.examined if found.capability is capability), None)

    def works(self, capability: Capability) -> bool:
        found = self.of(capability)
        return found is not None and found.works

    @property
    def unknown(self) -> bool:
        """Whether the store failed in a way that may pass, so that the examination must be repeated."""
        return any(found.transient for found in self.examined)

    @property
    def broken(self) -> tuple[Examined, ...]:
        """What the store is configured for and what does not work."""
        return tuple(found for found in self.examined if found.offered and not found.works)

    def after(self, earlier: StoreReport | None) -> StoreReport:
        """This report, with what `earlier` knew in place of what is now unknown."""
        if earlier is None:
            return self
        known = tuple((earlier.of(found.capability) or found) if found.transient else found for found in self.examined)
        lost = tuple(found for found in earlier.examined if self.of(found.capability) is None) if self.unknown else ()
        return replace(self, examined=known + lost)


def assumed(store: str, *, works: bool) -> StoreReport:
    """A report about the capabilities for clients, without an examination."""
    found = (Examined(capability, works, offered=works) for capability in CLIENT_CAPABILITIES)
    return StoreReport(store, "", None, tuple(found))
