"""The attacking host with the real confinement."""

from __future__ import annotations

from pipeline.adapters.media import host
from tests.harness.attacks.child import Confined, serve


def main(arguments: list[str]) -> None:
    host.main(arguments, lambda: serve, Confined())
