"""The attacking host without confinement: the control, where attacks succeed."""

from __future__ import annotations

from pipeline.adapters.media import host
from tests.harness.attacks.child import Unconfined, serve


def main(arguments: list[str]) -> None:
    host.main(arguments, lambda: serve, Unconfined())
