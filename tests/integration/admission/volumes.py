"""Disks with their rules, for random schedules of admission."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Volume:
    """The disk and the rules of one schedule, in bytes."""

    budget_bytes: int
    disk_bytes: int
    headroom_bytes: int
    max_overtakes: int
    lookahead: int

    @property
    def largest_bytes(self) -> int:
        """The largest upload that can be admitted."""
        return min(self.budget_bytes, self.disk_bytes - self.headroom_bytes)


volumes = st.builds(
    Volume,
    budget_bytes=st.integers(20, 100),
    disk_bytes=st.integers(40, 200),
    headroom_bytes=st.integers(0, 20),
    max_overtakes=st.integers(0, 3),
    lookahead=st.integers(1, 6),
)
