"""Health of a gateway, as the API shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Alive(BaseModel):
    """The process responds. Says nothing about its dependencies."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"alive": True}]})

    alive: Literal[True] = True


class Ready(BaseModel):
    """Every dependency that requests need is available."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"ready": True, "warnings": {}}]})

    ready: Literal[True] = True
    warnings: dict[str, str] = Field(
        default_factory=dict,
        description="Problems that an operator should fix although requests are served: dependency -> problem",
    )
