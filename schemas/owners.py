"""Names of owners: the principals that uploads and contents belong to."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

OWNER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._@+:|/-]{0,127}"
"""Fits subjects of identity providers, such as `auth0|5f7c8ec7c33c6c004bbafe82`, and names that an operator chooses."""

OwnerName = Annotated[str, StringConstraints(pattern=f"^{OWNER_PATTERN}$")]


class OwnerFilter(BaseModel):
    """The filter of lists that operators see for every owner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: OwnerName | None = Field(None, description="Owner; only operators see what belongs to others")
