"""Settings: the `SLUICE_*` environment variables as one typed, frozen object. Only entry points read it.

Guarantee: every setting documents what it means, its unit, and why its default is what it is.
docs/reference/settings.md lists all of them; a test compares the two. Secrets are SecretStr, so they do not appear in
logs or tracebacks.
"""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.settings.access import AccessSettings
from pipeline.settings.cells import CellSettings
from pipeline.settings.connections import ConnectionSettings
from pipeline.settings.dependencies import DependencySettings
from pipeline.settings.fairness import FairnessSettings
from pipeline.settings.gateway import GatewaySettings
from pipeline.settings.object_store import ObjectStoreSettings, S3Settings, SwiftSettings
from pipeline.settings.temp_volume import TempVolumeSettings
from pipeline.settings.webhooks import WebhookSettings
from pipeline.settings.workers import WorkerSettings

__all__ = ["Settings"]


# pydantic orders fields by the bases from last to first; this is the order in docs/reference/settings.md.
class Settings(
    WebhookSettings,
    WorkerSettings,
    ConnectionSettings,
    GatewaySettings,
    AccessSettings,
    FairnessSettings,
    TempVolumeSettings,
    CellSettings,
    S3Settings,
    SwiftSettings,
    ObjectStoreSettings,
    DependencySettings,
    BaseSettings,
):
    """All settings of Sluice."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )
