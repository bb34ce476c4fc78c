"""The two containers of a store: created where they are missing, with the TempURL key on them."""

from __future__ import annotations

from contextlib import suppress

from pipeline.adapters.object_store.http.bodies import whole_number
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout, container_path
from pipeline.adapters.object_store.swift.single_flight import SingleFlight
from pipeline.adapters.object_store.swift.tempurl import KEY_HEADER, TempUrlSigner
from pipeline.core.errors import StoreUnsupported


class SwiftContainers:
    """Checks the containers once per process, and again after a request has found one missing."""

    def __init__(self, http: SwiftHttp, layout: SwiftLayout, signer: TempUrlSigner | None) -> None:
        self._http = http
        self._layout = layout
        self._key = {KEY_HEADER: signer.key} if signer is not None else {}
        self._exist = False
        self._flight = SingleFlight(self.ensure, "swift-containers")

    async def ensure_once(self) -> None:
        """Both containers exist from here on. Concurrent callers cause one check. Raises StoreError,
        StoreUnavailable."""
        if not self._exist:
            await self._flight.join()

    async def ensure_again(self) -> None:
        """As `ensure_once`, after a response has shown that a container is missing."""
        self._exist = False
        await self.ensure_once()

    async def ensure(self) -> None:
        """Create the containers that are missing, and set the TempURL key where another one is set. Idempotent.

        HEAD comes first: a user may have access to containers that it could not create. A user who does not own the
        account may not set the key (403), and does not see it. Then the containers' owner has to set it; until that is
        done Swift responds 401 to our TempURLs. Where the server has no HEAD of a container, PUT is sent, which changes
        nothing on one that exists; where it has no POST, the key stays unset.
        """
        for container in (self._layout.container, self._layout.segment_container):
            path = container_path(container)
            missing, keyless = await self._look_at(path)
            if missing:
                async with self._http.request("PUT", path, accept=(201, 202), headers=self._key):
                    pass
            elif keyless:
                with suppress(StoreUnsupported):
                    async with self._http.request("POST", path, accept=(204, 403), headers=self._key):
                        pass
        self._exist = True

    async def _look_at(self, path: str) -> tuple[bool, bool]:
        """Whether a container is missing, and whether it lacks our key."""
        try:
            async with self._http.request("HEAD", path, accept=(200, 204, 404)) as response:
                if response.status == 200:  # of a page of a proxy; Swift and Ceph respond 204
                    whole_number(response.headers.get("X-Container-Object-Count"), f"HEAD {path}", "object count")
                keyless = any(response.headers.get(name) != value for name, value in self._key.items())
                return response.status == 404, keyless
        except StoreUnsupported:
            return True, True

    async def aclose(self) -> None:
        """Cancel a check in flight. Idempotent."""
        await self._flight.aclose()
