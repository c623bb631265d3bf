"""All peers of this replica: one for each user, shared by all the sessions on their socket."""

import asyncio
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

from engines.base import Backdrop
from foundation.settings import is_loopback
from serve_app.settings import Settings
from serve_app.stage.scenery import Scenery
from serve_app.stage.stage import ShownFace, Stage
from serve_app.webrtc.ice import IceNetwork, IceServers
from serve_app.webrtc.peer import Attendant, Peer
from serve_app.webrtc.turn_credentials import credentials
from wire.events import ErrorEvent, IceServer

logger = logging.getLogger(__name__)

REPLACED = ErrorEvent(
    code="webrtc_replaced",
    content="Another page of yours has taken over the live picture; this one goes on with text.",
)


class Peers:
    """Owns the tasks of all peers; leaving it ends them."""

    def __init__(
        self, settings: Settings, load_backdrop: Callable[[str], Backdrop], shown: ShownFace
    ) -> None:
        self._settings = settings
        self._load_backdrop = load_backdrop
        self._shown = shown
        self._sceneries: WeakValueDictionary[Backdrop, Scenery] = WeakValueDictionary()
        """Of the faces that somebody looks at."""
        self._peers: dict[str, Peer] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for peer in self._peers.values():
            peer.end()
        await self._tasks.__aexit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self._peers)

    def of(self, user: str) -> Peer | None:
        """The user's peer, connected or not."""
        return self._peers.get(user)

    async def answer(self, user: str, offer: str, attendant: Attendant, face: str) -> str:
        """The answer to an offer: the same connection changes, or a new one takes its place.

        Raises `BadDescription`, `IceError`, or `EngineError` for the face.
        """
        peer = self._peers.get(user)
        if peer is None or not peer.continues(offer):
            stage = Stage(self._scenery, self._shown)
            await stage.wear(face)
            peer = await self._replace(user, stage, attendant)
        peer.attend(attendant, offering=True)
        return await peer.answer(offer)

    async def _replace(self, user: str, stage: Stage, attendant: Attendant) -> Peer:
        peer = Peer(stage, self._network(user), self._settings.webrtc_grace_s)
        old, self._peers[user] = self._peers.get(user), peer
        self._tasks.create_task(self._run(user, peer), name="peer")
        if old is not None:
            await old.hand_over(attendant, REPLACED)
        return peer

    def _scenery(self, face: str) -> Scenery:
        """One for all who look at this face. Raises `EngineError`."""
        backdrop = self._load_backdrop(face)  # a face of the same name may have been made anew
        if (known := self._sceneries.get(backdrop)) is not None:
            return known
        return self._sceneries.setdefault(backdrop, Scenery(backdrop))

    async def _run(self, user: str, peer: Peer) -> None:
        await peer.run()
        if self._peers.get(user) is peer:
            del self._peers[user]

    def _network(self, user: str) -> IceNetwork:
        settings = self._settings
        servers = self.ice_servers(user)
        turn = next((server for server in servers if server.username), None)
        return IceNetwork(
            IceServers(
                stun=settings.stun_url,
                turn=tuple(settings.turn_url_list),
                username=(turn.username or "") if turn else "",
                credential=(turn.credential or "") if turn else "",
            ),
            ports=settings.webrtc_ports,
            loopback=is_loopback(settings.management_api_host),
        )

    def ice_servers(self, user: str) -> list[IceServer]:
        """What a browser needs for its own side; the credentials of a relay are made anew each
        time and end by themselves."""
        settings = self._settings
        servers = [IceServer(urls=[settings.stun_url])] if settings.stun_url else []
        if settings.turn_url_list and settings.turn_secret is not None:
            secret = settings.turn_secret.get_secret_value()
            lent = credentials(secret, user, settings.turn_ttl_seconds, time.time())
            servers.append(
                IceServer(
                    urls=settings.turn_url_list, username=lent.username, credential=lent.password
                )
            )
        return servers
