"""Why `sluice plan` can make no plan."""

from __future__ import annotations

from deploy.cli.errors import ClientError


class PlanError(ClientError):
    """The load is one that no number of processes can serve, or the constants cannot be used. `code` is stable; the
    message ends with it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} [{code}]", code=code)
        self.message = message
