"""Disks with their rules, for random schedules of admission."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pipeline.core.admission import OwnerShare
from pipeline.core.windows import BLOCK_BYTES

# A quarter of a block: what an upload costs in the queue is not what it reserves.
UNIT = BLOCK_BYTES // 4


def units(low: int, high: int) -> SearchStrategy[int]:
    """So many units, in bytes."""
    return st.integers(low, high).map(UNIT.__mul__)


@dataclass(frozen=True)
class Volume:
    """The disk and the rules of one schedule, in bytes. `share`: what one owner may hold."""

    budget_bytes: int
    disk_bytes: int
    headroom_bytes: int
    max_overtakes: int
    lookahead: int
    share: OwnerShare = field(default_factory=OwnerShare)

    @property
    def largest_bytes(self) -> int:
        """The largest upload that can be admitted."""
        return min(self.budget_bytes, self.disk_bytes - self.headroom_bytes)


volumes = st.builds(
    Volume,
    budget_bytes=units(20, 100),
    disk_bytes=units(40, 200),
    headroom_bytes=units(0, 20),
    max_overtakes=st.integers(0, 3),
    lookahead=st.integers(1, 6),
    share=st.just(OwnerShare()) | st.builds(OwnerShare, st.none() | units(10, 70), st.none() | st.integers(1, 4)),
)
