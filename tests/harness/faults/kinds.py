"""The faults that a `shaper` can be set to, as data."""

from __future__ import annotations

from dataclasses import dataclass

from tests.harness.faults.head import RequestHead


@dataclass(frozen=True)
class Pass:
    """No fault."""


@dataclass(frozen=True)
class Refuse:
    """New connections are refused; open ones are reset."""


@dataclass(frozen=True)
class Stall:
    """Connections are accepted and no byte passes; all continue when the stall ends."""


@dataclass(frozen=True)
class Slow:
    """All connections together pass `bytes_per_second`, both directions counted."""

    bytes_per_second: float


@dataclass(frozen=True)
class OnRequests:
    """A fault of single requests. `times`: how many, None for all; `path`: part of the target, "" for every request."""

    probability: float = 1.0
    times: int | None = None
    path: str = ""

    def concerns(self, request: RequestHead) -> bool:
        return self.path in request.target


@dataclass(frozen=True)
class Reset(OnRequests):
    """Both sides get RST once `after_bytes` of a body have passed; shorter bodies pass."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Corrupt(OnRequests):
    """One bit of the request's body is flipped."""


@dataclass(frozen=True)
class Mute(OnRequests):
    """The server receives and executes the request; the client gets RST instead of the response."""


@dataclass(frozen=True)
class Answer(OnRequests):
    """The shaper responds in place of the server and discards the request's body."""

    status: int = 503
    retry_after_seconds: int | None = None
    body: bytes = b""

    def response(self, method: str) -> bytes:
        """Head and body; a response to HEAD has no body."""
        lines = [f"HTTP/1.1 {self.status} Injected", f"Content-Length: {len(self.body)}", "Connection: close"]
        if self.retry_after_seconds is not None:
            lines.append(f"Retry-After: {self.retry_after_seconds}")
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else self.body)


@dataclass(frozen=True)
class Unparsable(Answer):
    """The shaper reports success, stores nothing, and sends a body that is neither JSON nor XML, or none. `kinds`:
    the requests concerned, each a method and a part of the target."""

    status: int = 200
    kinds: tuple[tuple[str, str], ...] = ()

    def concerns(self, request: RequestHead) -> bool:
        return any(request.method == method and part in request.target for method, part in self.kinds)


@dataclass(frozen=True)
class Hang(OnRequests):
    """Requests go no further until another fault is set; the first `after_requests` of them pass."""

    after_requests: int = 0


Fault = Pass | Refuse | Stall | Slow | Reset | Corrupt | Mute | Answer | Hang
