"""Rate limits: buckets that refill at a constant rate, and the header fields that tell clients about them.

`RateLimit-Policy` and `RateLimit` follow draft-ietf-httpapi-ratelimit-headers-10: a policy has a name, a quota `q` and
a window `w` in seconds; `r` is what remains of the quota, and `t` the seconds until it is full again or, if nothing
remains, until the next request is served.

Guarantee: the memory of a limit is bounded, however many callers there are. Each gateway counts for itself, and its
counts end with its process.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from pipeline.core.errors import LimitReached

POLICY_FIELD: Final = "RateLimit-Policy"
LEVEL_FIELD: Final = "RateLimit"

_REMEMBERED: Final = 50_000
_SITE_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Level:
    """A bucket after a request. `taken`: the request is served; `remaining`: how many more would be served now;
    `seconds`: until the bucket is full again or, unless `taken`, until the next request would be served."""

    taken: bool
    remaining: int
    seconds: float


class RateLimit:
    """One bucket for each key. `burst`: what a bucket holds. `clock`: seconds, monotonic."""

    def __init__(self, name: str, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._each = 1 / per_second
        self._burst = max(1, math.floor(burst))
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    @property
    def policy(self) -> str:
        """This limit as an item of RateLimit-Policy."""
        return policy_item(self.name, self._burst, self._burst * self._each)

    def take(self, key: str, count: int = 1) -> Level:
        """Take `count` from the bucket of `key`, if it has as many. No request needs more than a full bucket."""
        now = self._clock()
        full_at = max(now, self._full_at.get(key, now)) + self._each * min(count, self._burst)
        wait = full_at - now - self._burst * self._each
        if wait > 1e-9:  # rounding errors
            return Level(False, 0, wait)
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        self._forget(now)
        return Level(True, math.floor(self._burst - (full_at - now) / self._each + 1e-6), full_at - now)

    def require(self, key: str, count: int = 1) -> None:
        """As `take`. Raises LimitReached RATE_LIMITED."""
        level = self.take(key, count)
        if not level.taken:
            raise rate_limited(self.name, level.seconds)

    def level_item(self, level: Level) -> str:
        """A level of this limit as an item of RateLimit."""
        return level_item(self.name, level.remaining, level.seconds)

    def _forget(self, now: float) -> None:
        """Remove full buckets, which are equal to unknown ones. The bucket that was unused for longest is full
        first."""
        while self._full_at:
            key = next(iter(self._full_at))
            if self._full_at[key] > now and len(self._full_at) <= _REMEMBERED:
                return
            del self._full_at[key]


def rate_limited(name: str, seconds: float) -> LimitReached:
    """The error for a request that the limit `name` refuses."""
    return LimitReached("RATE_LIMITED", what=name, retry_after_seconds=max(1, math.ceil(seconds)))


def policy_item(name: str, quota: int, window_seconds: float) -> str:
    """An item of RateLimit-Policy."""
    return f'"{name}";q={quota};w={max(1, math.ceil(window_seconds))}'


def level_item(name: str, remaining: int, seconds: float) -> str:
    """An item of RateLimit."""
    return f'"{name}";r={remaining};t={math.ceil(seconds)}'


class Sites:
    """Groups addresses that count as one: those of one IPv6 network /64, since providers give each customer at least
    that many. `exempt`: networks of proxies, behind which the addresses of clients are not known here."""

    def __init__(self, exempt: Collection[str] = ()) -> None:
        self._exempt = [ipaddress.ip_network(text) for text in exempt]

    def find(self, host: str) -> tuple[str, bool]:
        """What `host` counts as, and whether its share is limited."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return host, False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._exempt):
            return str(address), False
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, _SITE_BITS), strict=False)), True
        return str(address), True


class LogBudget:
    """A limit of the log lines that unknown callers cause."""

    def __init__(self, lines: RateLimit) -> None:
        self._lines = lines
        self._left_out = 0

    def spend(self) -> int | None:
        """How many lines were left out before this one; None: this one must be left out."""
        if not self._lines.take("").taken:
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return left_out


STRANGERS_LOG: Final = LogBudget(RateLimit("log", per_second=10, burst=200))
"""Of this process, which has one log: requests whose caller is not known and that were refused."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits that one gateway counts by itself. `requests`, `permits`, `imports`, `segments` (whose URLs are
    signed, or that are looked up in the store) and `webhooks` (tests and replays): of each owner; None: no limit.
    `failures`: of requests with no valid credential, for each of `sites`. `creations`: the policy of the limit that
    Redis counts."""

    failures: RateLimit
    sites: Sites
    requests: RateLimit | None = None
    permits: RateLimit | None = None
    imports: RateLimit | None = None
    segments: RateLimit | None = None
    webhooks: RateLimit | None = None
    creations: str | None = None

    @classmethod
    def of(
        cls, requests_per_second: float | None, creations_per_second: float | None, exempt: Collection[str] = ()
    ) -> RequestLimits:
        """None: no limits of owners. `exempt`: as of `Sites`."""
        sites = Sites(exempt)
        failures = RateLimit("failures", per_second=10, burst=100)
        if requests_per_second is None or creations_per_second is None:
            return cls(failures, sites)
        return cls(
            failures,
            sites,
            RateLimit("requests", requests_per_second, 2 * requests_per_second),
            RateLimit("permits", creations_per_second, 4 * creations_per_second),
            # Each costs a request to the store, also where nothing is created: no more than a second's worth at once.
            RateLimit("imports", creations_per_second, creations_per_second),
            # Signing a URL for S3 takes 0.6 ms, in which the gateway does nothing else: an owner gets a third of that
            # time, after the segments of several large files at once.
            RateLimit("segments", requests_per_second, 20 * requests_per_second),
            # A replay queues thousands of deliveries, and a test is a request to a host that the owner has chosen.
            RateLimit("webhooks", per_second=1, burst=20),
            policy_item("creations", burst := max(1, round(4 * creations_per_second)), burst / creations_per_second),
        )

    def count_failure(self, host: str) -> None:
        """A request from `host` has no valid credential. Raises LimitReached RATE_LIMITED after too many."""
        name, is_limited = self.sites.find(host)
        if is_limited:
            self.failures.require(name)
