"""The query of requests that create uploads, in an installation of several cells."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PlacementQuery(BaseModel):
    """Gateways set these parameters when they redirect a creation; clients leave them out."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": [{}]})

    cell: int | None = Field(
        None,
        ge=0,
        lt=256,
        description="Number of the cell in which the upload is created. A redirect (307) contains it; leave it out",
    )
    home: int | None = Field(
        None,
        ge=0,
        lt=256,
        description="Number of the cell that knows where the upload of this Idempotency-Key is created. A redirect "
        "(307) contains it; leave it out",
    )
