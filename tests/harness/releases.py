"""Other releases of the product, and processes that are restarted with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import deploy
from deploy.embedded.process import ChildProcess
from tests.harness.cell import eventually

PACKAGES = ("deploy", "gateway", "pipeline", "schemas", "workers")
REPOSITORY = Path(deploy.__file__).parents[1]


def exported(commit: str, directory: Path) -> bool:
    """Write the packages of a commit below `directory`. False: the repository does not have it."""
    archive = subprocess.run(["git", "archive", commit, *PACKAGES], cwd=REPOSITORY, capture_output=True)
    if archive.returncode:
        return False
    subprocess.run(["tar", "-x", "-C", directory], input=archive.stdout, check=True)
    return True


async def restart(child: ChildProcess, release: Path) -> None:
    """SIGTERM, then the same process of another release."""
    child.stop()
    child.environment = {**child.environment, "PYTHONPATH": str(release)}
    child.start()

    async def ready() -> bool:
        assert child.pid is not None, child.log_path.read_text()[-2_000:]
        return child.is_ready()

    await eventually(ready, 60, lambda: f"{child.name} to start")
