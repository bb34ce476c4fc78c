"""Which requests meet the current fault: drawn from a seed, so that the same requests in the same order meet the same
faults."""

from __future__ import annotations

import random

from tests.harness.faults.head import RequestHead
from tests.harness.faults.kinds import Corrupt, Fault, Hang, OnRequests, Pass, Reset


class Draws:
    """The current fault, and how often it may still happen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.fault: Fault = Pass()
        self._times_left: int | None = None
        self._to_pass = 0

    def set(self, fault: Fault) -> None:
        self.fault = fault
        self._times_left = fault.times if isinstance(fault, OnRequests) else None
        self._to_pass = fault.after_requests if isinstance(fault, Hang) else 0

    def for_request(self, request: RequestHead) -> Fault:
        """The fault for this request."""
        fault = self.fault
        if not isinstance(fault, OnRequests) or self._times_left == 0 or not fault.concerns(request):
            return Pass()
        too_short = isinstance(fault, Reset) and request.body_bytes <= fault.after_bytes
        if too_short or (isinstance(fault, Corrupt) and not request.body_bytes):
            return Pass()
        if self.random.random() >= fault.probability:
            return Pass()
        if self._to_pass:
            self._to_pass -= 1
            return Pass()
        if self._times_left is not None:
            self._times_left -= 1
        return fault

    def resets_now(self, passed_bytes: int) -> bool:
        """Whether a connection of any protocol is reset after so many bytes."""
        fault = self.fault
        if not isinstance(fault, Reset) or passed_bytes < fault.after_bytes or self._times_left == 0:
            return False
        if self._times_left is not None:
            self._times_left -= 1
        return self.random.random() < fault.probability
