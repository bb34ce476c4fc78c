"""The faults that a shaper can be set to (`shaper`), as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pass:
    """Nothing is broken."""


@dataclass(frozen=True)
class Refuse:
    """Connecting is refused; what is open is reset."""


@dataclass(frozen=True)
class Stall:
    """Connections are accepted, and nothing moves on any; it goes on where it stood when the stall ends."""


@dataclass(frozen=True)
class Slow:
    """All connections together move so many bytes a second, both ways."""

    bytes_per_second: float


@dataclass(frozen=True)
class OnRequests:
    """What all faults on requests have in common. `times` None: without end. `path` "": every request."""

    probability: float = 1.0
    times: int | None = None
    path: str = ""


@dataclass(frozen=True)
class Reset(OnRequests):
    """Both sides get RST once `after_bytes` of a body have passed on; shorter bodies pass."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Corrupt(OnRequests):
    """One bit of a request's body is another one when it arrives."""


@dataclass(frozen=True)
class Mute(OnRequests):
    """The server gets the request and does what it asks for; the client gets RST in place of the answer."""


@dataclass(frozen=True)
class Answer(OnRequests):
    """An answer that the server knows nothing of; the request's body is thrown away."""

    status: int = 503
    retry_after_seconds: int | None = None


@dataclass(frozen=True)
class Hang(OnRequests):
    """Requests go no further until another fault is set; the first `after_requests` of them pass."""

    after_requests: int = 0


Fault = Pass | Refuse | Stall | Slow | Reset | Corrupt | Mute | Answer | Hang
