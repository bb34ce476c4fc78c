"""The constants of `sluice plan`: what uploads cost, as the benchmark has measured it.

`plan_constants.json` beside this module has those of one machine; `make plan-constants` measures them again and writes
that file. Everything is per process type, by the name of the process: `gateway`, `worker-transfer`, ..., `redis`,
`postgres`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.cli.plan_errors import PlanError

MEASURED: Final = Path(__file__).with_name("plan_constants.json")
"""The file that the benchmark writes."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MediaKind = Literal["photo", "video"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProcessCost(_Model):
    """CPU seconds of all processes of one type, beyond what they need while there are no uploads."""

    photo_seconds: Amount = Field(description="For an upload of a photo, without its bytes and the time to send them")
    video_seconds: Amount = Field(description="For an upload of a video, without its bytes and the time to send them")
    gib_seconds: Amount = Field(description="For one GiB of any file")
    sending_share: Amount = Field(description="While a file is being sent, as a share of a core")
    idle_cores: Amount = Field(description="What one idle process needs, as a share of a core")
    resident_bytes: Amount = Field(description="Resident memory of one process after the measurement")

    def upload_seconds(self, kind: MediaKind) -> float:
        """CPU seconds for an upload of this kind, without its bytes."""
        return self.photo_seconds if kind == "photo" else self.video_seconds


class RedisBytes(_Model):
    """Bytes that Redis needs, with its own overhead."""

    base: Amount = Field(description="Without uploads, once its stream of events is as long as it becomes")
    in_flight: Amount = Field(description="Per upload in flight of one segment")
    ended: Amount = Field(description="Per upload of one segment that has ended, until its record is removed")
    segment: Amount = Field(description="Per segment beyond the first, of either")


class Constants(_Model):
    """All of them, with when and where they were measured."""

    measured_at: str
    machine: Mapping[str, Any]
    store: str = Field(description="The store of the measurement")
    segment_bytes: int = Field(gt=0)
    release_seconds: Amount = Field(description="From the arrival of a segment until its room is given back")
    processes: Mapping[str, ProcessCost]
    redis: RedisBytes
    database_bytes: Amount = Field(description="Per content in PostgreSQL, with indexes")


def read_constants(path: Path = MEASURED) -> Constants:
    """The constants in this file. Raises PlanError CONSTANTS_INVALID."""
    try:
        return Constants.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PlanError("CONSTANTS_INVALID", f"{path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        message = (
            f"{path} has no constants of this version: {place}: {first['msg']}. Measure them: make plan-constants."
        )
        raise PlanError("CONSTANTS_INVALID", message) from None
