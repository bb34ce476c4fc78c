"""The findings of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RESPONSE_SECONDS = 10.0
"""How long a check waits for a server: enough for a busy machine."""


class Level(StrEnum):
    """`error`: Sluice cannot work. `warning`: it works, but not as well or as safely as it should."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about one dependency. `advice` says what follows and what to do; at level `ok` it is mostly
    empty."""

    check: str
    level: Level
    what: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"check": self.check, "level": str(self.level), "finding": self.what, "advice": self.advice}


class Findings:
    """Collects the findings of one check."""

    def __init__(self, check: str) -> None:
        self._check = check
        self.all: list[Finding] = []

    def ok(self, what: str, advice: str = "") -> None:
        self.all.append(Finding(self._check, Level.OK, what, advice))

    def warning(self, what: str, advice: str) -> None:
        self.all.append(Finding(self._check, Level.WARNING, what, advice))

    def error(self, what: str, advice: str) -> None:
        self.all.append(Finding(self._check, Level.ERROR, what, advice))
