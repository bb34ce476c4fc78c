"""Settings of webhooks."""

from __future__ import annotations

from pydantic import BaseModel, Field

from pipeline.settings.values import CaFile, NetworkList


class WebhookSettings(BaseModel):
    """Where webhooks may lead, and how deliveries are repeated."""

    webhook_networks: NetworkList = Field(
        (),
        description="Networks in which endpoints of webhooks may be besides public addresses, such as "
        "`10.20.0.0/16`; only endpoints there may use http. Owners choose the URLs of their webhooks, so name no "
        "network whose services trust every caller",
    )
    webhook_limit: int = Field(16, ge=1, description="Webhooks that one owner may have, and the installation besides")
    webhook_timeout_seconds: float = Field(
        10, gt=0, le=60, description="Time in which an endpoint must respond; then the delivery is repeated"
    )
    webhook_concurrency: int = Field(
        64,
        ge=1,
        description="Deliveries that one notify worker makes at once, up to a quarter of them to one webhook",
    )
    webhook_retry_seconds: float = Field(
        5, gt=0, description="Delay after the first failure of a delivery. It grows threefold, up to six hours"
    )
    webhook_pause_seconds: float = Field(
        86_400,
        gt=0,
        description="A webhook whose deliveries have failed for this long without a success is paused until somebody "
        "resumes it",
    )
    webhook_kept_seconds: float = Field(
        7 * 86_400,
        ge=3 * 86_400,
        description="How long events and deliveries are kept, to be listed and replayed; no less than the three days "
        "for which deliveries are repeated",
    )
    webhook_ca_file: CaFile = Field(
        None, description="CA certificates in PEM that endpoints are verified against, besides the system's"
    )
