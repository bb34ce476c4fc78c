"""Headless Chromium, driven over the DevTools protocol: pages of a size, keys, scripts, pictures.

Guarantee: the browser has a profile of its own and sends requests to loopback only; it is ended with the block,
whatever happens in it. An exception in a page's own script, or a violation of its content security policy, is recorded.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp

from pipeline.tasks import end_tasks
from tests.harness.system_packages import require_programs

_START_SECONDS: Final = 60
_WAIT_SECONDS: Final = 30
_KEYS: Final = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32}


class Browser:
    """One connection to a running Chromium."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._reading = asyncio.create_task(self._read())

    async def send(
        self, method: str, session: str | None = None, *, seconds: float = _WAIT_SECONDS, **params: Any
    ) -> dict[str, Any]:
        """One command; its result, for which it waits so long. Raises RuntimeError if Chromium refuses it,
        TimeoutError."""
        number = len(self._answers) + 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        command = {"id": number, "method": method, "params": params}
        await self._socket.send_json(command if session is None else {**command, "sessionId": session})
        return await asyncio.wait_for(answer, seconds)

    async def page(self, width: int, height: int, *, dark: bool = False) -> Page:
        """A new page with a window of this size, in CSS pixels. A narrow one is a phone's."""
        target = (await self.send("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            await page.send(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await page.send("Emulation.setEmulatedMedia", features=[scheme])
        await page.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await page.send("Emulation.setFocusEmulationEnabled", enabled=True)
        return page

    async def close(self) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                answer = self._answers[event["id"]]
                if answer.done():  # nobody waits for it any more
                    continue
                if "error" in event:
                    answer.set_exception(RuntimeError(str(event["error"])))
                else:
                    answer.set_result(event["result"])
            elif event.get("sessionId") in self._pages:
                self._pages[event["sessionId"]].notice(event["method"], event["params"])


class Page:
    """One page. `errors`: uncaught exceptions, and what Chromium logged as an error, such as a blocked request.
    `dialogs`: the messages of the dialogs that have opened, each of which is accepted."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self._accepting: set[asyncio.Task[Any]] = set()
        self._crashed = asyncio.Event()

    def notice(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(str(params["entry"]["text"]))
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
            task = asyncio.create_task(self.send("Page.handleJavaScriptDialog", accept=True))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)
        elif method == "Inspector.targetCrashed":
            self._crashed.set()

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._browser.send(method, self._session, **params)

    async def kill(self) -> None:
        """End the page at once, as a device that is switched off does: none of its scripts runs again, and what it was
        sending is broken off. A page that is left for another one runs on for a moment, without `Network`."""
        await self.send("Inspector.enable")
        crash = asyncio.create_task(self.send("Page.crash"))  # is not answered
        await asyncio.wait_for(self._crashed.wait(), _WAIT_SECONDS)
        await end_tasks(crash)

    async def open(self, url: str, until: str = "document.readyState === 'complete'") -> None:
        """Load `url` and wait for the condition, an expression of JavaScript."""
        await self.send("Page.navigate", url=url)
        await self.until(until)

    async def run(self, expression: str, *, seconds: float = _WAIT_SECONDS) -> Any:
        """The value of an expression of JavaScript, awaited for so long. Raises AssertionError for what it throws,
        TimeoutError."""
        result = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, seconds=seconds
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true. Raises TimeoutError."""
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                with suppress(AssertionError, RuntimeError):  # a page that is being replaced has no document
                    if await self.run(f"Boolean({condition})"):
                        return
                await asyncio.sleep(0.02)

    async def press(self, *keys: str) -> None:
        """Press keys one after the other: a name such as Tab, or a character."""
        for key in keys:
            code = {"windowsVirtualKeyCode": _KEYS[key]} if key in _KEYS else {}
            text = {"Enter": "\r", "Space": " "}.get(key, "" if key in _KEYS else key)
            name = " " if key == "Space" else key
            await self.send(
                "Input.dispatchKeyEvent", type="keyDown", key=name, **code, **({"text": text} if text else {})
            )
            await self.send("Input.dispatchKeyEvent", type="keyUp", key=name, **code)

    async def drop(self, *paths: Path, at: tuple[int, int]) -> None:
        """Drop files and folders at a point of the window, as a person drags them from a file manager."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.send("Input.dispatchDragEvent", type=kind, x=at[0], y=at[1], data=data)

    async def picture(self, file: Path) -> None:
        """What the window shows, as PNG."""
        result = await self.send("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(result["data"]))


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Browser]:
    """Chromium with the profile in this directory, until the end of the block."""
    require_programs(["chromium"], ["chromium"])
    process = await asyncio.create_subprocess_exec(
        "chromium",
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server"),
        *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        address = await _debugging_address(profile)
        async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
            browser = Browser(socket)
            try:
                yield browser
            finally:
                await browser.close()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
        await process.wait()


async def _debugging_address(profile: Path) -> str:
    """Chromium writes its port and path to a file once it listens."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(_START_SECONDS):
        while True:
            lines = file.read_text().split("\n") if file.exists() else []
            if len(lines) == 2 and lines[1]:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await asyncio.sleep(0.05)
