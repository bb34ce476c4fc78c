"""Owners: the names to which uploads and contents belong."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

OWNER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._@+:|/-]{0,127}"
"""Fits subjects of identity providers, such as `auth0|5f7c8ec7c33c6c004bbafe82`, and names that an operator chooses."""

OwnerName = Annotated[str, StringConstraints(pattern=f"^{OWNER_PATTERN}$")]


class OwnerFilter(BaseModel):
    """The filter by owner of lists. Operators see the entries of every owner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: OwnerName | None = Field(
        None, description="Only those of this owner. Callers without the scope `operate` see their own owner's only"
    )
