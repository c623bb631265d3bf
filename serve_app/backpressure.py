"""Does the client read what it is sent? In Serve's default mode only the kernel knows.

There a replica's `send` returns at once, however slowly the client reads, and everything waits in
Serve's unbounded queues; the proxy's keep-alive does not end such a connection either. But the
proxy's socket fills up, and on the same node the kernel shows how much of it nobody has taken yet.
So after every stretch of output the sender looks there, and waits. Under uvicorn and in the
throughput mode `send` itself waits, and the look finds nothing.
"""

import asyncio
import ipaddress
import socket
from pathlib import Path

from starlette.websockets import WebSocket

LOOK_EVERY_BYTES = 256 * 1024
"""How much is sent between two looks; a look costs a fraction of a millisecond."""

TAKEN_BELOW_BYTES = 64 * 1024
"""With less than this waiting the client keeps up: a healthy socket may always hold as much."""

LOOK_AGAIN_S = 0.05

TABLES = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}

Endpoint = tuple[str, int]


class PacedSender:
    """Sends text frames no faster than the client takes them."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._since_look = 0
        client, server = websocket.scope.get("client"), websocket.scope.get("server")
        self._ends = (tuple(server), tuple(client)) if client and server else None

    async def send(self, frame: str) -> None:
        """Send one frame; returns late while earlier ones are not taken."""
        await self._websocket.send_text(frame)
        self._since_look += len(frame)
        if self._ends is None or self._since_look < LOOK_EVERY_BYTES:
            return
        self._since_look = 0
        while (untaken_bytes(*self._ends) or 0) > TAKEN_BELOW_BYTES:  # noqa: ASYNC110 - the kernel sends no event
            await asyncio.sleep(LOOK_AGAIN_S)


def untaken_bytes(server: Endpoint, client: Endpoint) -> int | None:
    """What lies in the send queue of this node's connection between the two, and has not been
    acknowledged; None where the kernel does not tell (another node, or not Linux)."""
    try:
        address = ipaddress.ip_address(server[0])
        lines = TABLES[address.version].read_text().splitlines()
        wanted = [_as_listed(server), _as_listed(client)]
    except (OSError, ValueError):
        return None
    for line in lines:
        fields = line.split()
        if fields[1:3] == wanted:
            return int(fields[4].partition(":")[0], 16)
    return None


def _as_listed(endpoint: Endpoint) -> str:
    """An endpoint in the kernel's table: words of the address in the machine's byte order."""
    address = ipaddress.ip_address(endpoint[0]).packed
    words = [address[start : start + 4] for start in range(0, len(address), 4)]
    numbers = [socket.htonl(int.from_bytes(word, "big")) for word in words]
    return "".join(f"{number:08X}" for number in numbers) + f":{endpoint[1]:04X}"
