"""Names of Redis keys. The scripts build the same names; `schemas/status.py` documents those that dashboards read."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.lifecycle import Status
from pipeline.core.stages import OF_VOLUME, WorkerType

CONTRACT_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys begin with `<namespace>:v1:`."""

    namespace: str

    @property
    def prefix(self) -> str:
        return f"{self.namespace}:{CONTRACT_VERSION}:"

    def upload(self, upload_id: str) -> str:
        return f"{self.prefix}upload:{upload_id}"

    def received(self, upload_id: str) -> str:
        return f"{self.upload(upload_id)}:received"

    def stored(self, upload_id: str) -> str:
        return f"{self.upload(upload_id)}:stored"

    def results(self, upload_id: str) -> str:
        return f"{self.upload(upload_id)}:results"

    def released(self, upload_id: str) -> str:
        return f"{self.upload(upload_id)}:released"

    def append(self, upload_id: str) -> str:
        """The tail of an upload, and who appends to it."""
        return f"{self.upload(upload_id)}:append"

    def owner(self, owner: str) -> str:
        """The counters of this owner."""
        return f"{self.prefix}owner:{owner}"

    @property
    def uploads(self) -> str:
        return f"{self.prefix}uploads"

    def status(self, status: Status) -> str:
        """Uploads, scored by when they reached this status."""
        return f"{self.prefix}status:{status}"

    def listed(self, status: Status) -> str:
        """The same uploads, scored by creation: the order of lists."""
        return f"{self.prefix}listed:{status}"

    @property
    def volumes(self) -> str:
        return f"{self.prefix}volumes"

    def volume(self, volume: str) -> str:
        return f"{self.prefix}volume:{volume}"

    def samples(self, volume: str) -> str:
        """The counters of this volume over the last hour, scored by time."""
        return f"{self.volume(volume)}:samples"

    @property
    def stages(self) -> str:
        """What runs of stages have done, counted."""
        return f"{self.prefix}stages"

    @property
    def stage_samples(self) -> str:
        """`stages` over the last hour, scored by time."""
        return f"{self.stages}:samples"

    @property
    def workers(self) -> str:
        """Names of worker processes, scored by their last heartbeat."""
        return f"{self.prefix}workers"

    def unconfined(self, volume: str) -> str:
        """Workers of this volume whose media reader is not confined completely, scored by their last heartbeat."""
        return f"{self.volume(volume)}:unconfined"

    def ended(self, volume: str) -> str:
        return f"{self.volume(volume)}:ended"

    def releasing(self, volume: str) -> str:
        """Uploads that have something to release, scored by when."""
        return f"{self.volume(volume)}:releasing"

    def news(self, volume: str) -> str:
        """A stream of facts that webhooks are notified of, until a notify worker has copied them."""
        return f"{self.volume(volume)}:news"

    def notified(self, volume: str) -> str:
        """Exists while facts are recorded: a notify worker has run in the last days."""
        return f"{self.volume(volume)}:notified"

    def idempotency(self, key: str) -> str:
        """The upload that this scoped Idempotency-Key has created."""
        return f"{self.prefix}idempotency:{key}"

    @property
    def events(self) -> str:
        return f"{self.prefix}events"

    @property
    def signals(self) -> str:
        """A channel on which nothing is published: a subscription to it shows that the connection delivers signals."""
        return f"{self.prefix}signals"

    def changed(self, upload_id: str) -> str:
        """The channel on which a change of this upload is published."""
        return f"{self.prefix}changed:{upload_id}"

    @property
    def switches(self) -> str:
        """How often a process has found that another server is the primary (Sentinel): what an earlier one acknowledged
        last may be lost. With the server's run it identifies what recovery has compared with the journals."""
        return f"{self.prefix}switches"

    @property
    def probe(self) -> str:
        """Written and deleted to learn whether Redis accepts writes."""
        return f"{self.prefix}probe"

    def wake(self, queue: str) -> str:
        """The channel that wakes those who take work from this queue (`queue`)."""
        return f"{self.prefix}wake:{queue.removeprefix(self.prefix)}"

    def worker(self, name: str) -> str:
        return f"{self.prefix}worker:{name}"

    def queue(self, worker: WorkerType, volume: str) -> str:
        """A worker type that belongs to a temp volume has a queue for each; another type has one queue."""
        suffix = f":{volume}" if worker in OF_VOLUME else ""
        return f"{self.prefix}queue:{worker}{suffix}"
