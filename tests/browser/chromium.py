"""A real, headless Chromium that evaluates JavaScript for a test, through its debugging socket."""

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

START_LIMIT_S = 60.0

FLAGS = (
    "--headless",
    "--no-sandbox",  # its sandbox does not work as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)


@dataclass
class Page:
    """One empty page."""

    socket: ClientConnection
    _id: int = 0

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited when it is a promise."""
        self._id += 1
        params = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        call = {"id": self._id, "method": "Runtime.evaluate", "params": params}
        await self.socket.send(json.dumps(call))
        while (answer := json.loads(await self.socket.recv())).get("id") != self._id:
            continue
        result = answer["result"]
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")


@contextlib.asynccontextmanager
async def page(profile: Path, *flags: str) -> AsyncIterator[Page]:
    """Starts the browser with an empty profile."""
    binary = shutil.which("chromium")
    if binary is None:
        message = "Chromium is not installed: sudo apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    process = await asyncio.create_subprocess_exec(
        binary,
        *FLAGS,
        *flags,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with connect(await _page_socket(await _port(process)), max_size=None) as socket:
            yield Page(socket)
    finally:
        process.kill()
        await process.communicate()


async def _port(process: asyncio.subprocess.Process) -> int:
    """The browser names the port of its debugging socket among its first lines."""
    assert process.stderr is not None
    async with asyncio.timeout(START_LIMIT_S):
        async for line in process.stderr:
            if found := re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line):
                return int(found[1])
    raise RuntimeError("Chromium ended before it listened")


async def _page_socket(port: int) -> str:
    async with httpx.AsyncClient() as http:
        targets = (await http.get(f"http://127.0.0.1:{port}/json")).json()
    url: str = next(t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page")
    return url


LIMIT_S = 30.0


class Tab:
    """The browser's page, and whatever it complains of."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._id = 1_000
        self.complaints: list[str] = []

    async def call(self, method: str, **params: Any) -> Any:
        self._id += 1
        await self._socket.send(json.dumps({"id": self._id, "method": method, "params": params}))
        while (message := json.loads(await self._socket.recv())).get("id") != self._id:
            self._note(message)
        assert "error" not in message, message
        return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url')}")

    async def open(self, url: str) -> None:
        for domain in ("Runtime", "Log", "Page"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && window.tutor !== undefined")

    async def value(self, expression: str) -> Any:
        wish = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = await self.call("Runtime.evaluate", **wish)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, limit_s: float = LIMIT_S) -> None:
        try:
            async with asyncio.timeout(limit_s):
                while not await self.value(expression):  # noqa: ASYNC110  # it is in another process
                    await asyncio.sleep(0.05)
        except TimeoutError:
            seen = await self.value("JSON.stringify(window.tutor)")
            pytest.fail(f"{expression} did not come true: {seen}; {self.complaints}")


@contextlib.asynccontextmanager
async def tab(profile: Path, *flags: str) -> AsyncIterator[Tab]:
    async with page(profile, *flags) as browser:
        yield Tab(browser.socket)
