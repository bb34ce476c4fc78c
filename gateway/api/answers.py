"""What the gateway says about itself: the models of answers that are no upload and no content."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AllowedMethods(BaseModel):
    """Answer to OPTIONS."""

    model_config = ConfigDict(frozen=True)

    allowed: list[str] = Field(description="The methods that this path takes")


class Alive(BaseModel):
    """The process answers; says nothing of what it depends on."""

    model_config = ConfigDict(frozen=True)

    alive: Literal[True] = True


class Ready(BaseModel):
    """Everything that a request needs is there."""

    model_config = ConfigDict(frozen=True)

    ready: Literal[True] = True
    warnings: dict[str, str] = Field(
        default_factory=dict, description="What an operator should look at all the same: dependency to what is wrong"
    )
