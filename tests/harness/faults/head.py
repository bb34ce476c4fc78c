"""The parts of a request's head that the shaper needs to know where the body ends (RFC 9112)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RequestHead:
    """One head; field names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, head: bytes) -> RequestHead:
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        fields = (line.partition(":") for line in lines)
        method, target, _ = first.split(" ")
        return cls(method, target, {name.strip().lower(): value.strip() for name, _, value in fields})

    @property
    def body_bytes(self) -> int:
        return int(self.headers.get("content-length", "0"))

    @property
    def is_chunked(self) -> bool:
        return "transfer-encoding" in self.headers

    @property
    def asks_first(self) -> bool:
        return self.headers.get("expect", "").lower() == "100-continue"
