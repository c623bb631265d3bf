"""Makes a receiver of aiortc fit for measuring. All of it is private there:

- Its buffer holds back four packets of sound (80 ms), and after a loss sixteen for ever, throwing
  some away. Ours holds back none, but up to three while one is missing (`InOrder`).
- It needs the next frame's packet to know that a frame is complete, and it decodes in a thread. So
  a frame's moment is when its last packet came, not when it came out of the decoder.
- It asks once for a lost packet of the picture. We ask again until it comes, as browsers do.
- It tells nothing of where the sender's clock stands; we listen to the reports that say it.
"""

import time

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket

from tests.lip_sync import SenderClock

SOUND_HZ = 48_000
LIGHT_HZ = 90_000

HELD_PACKETS = 3
"""As many may overtake one that is then still heard: 60 ms of jitter."""

ASK_AGAIN_S = 0.05

KEPT_ARRIVALS = 4096
"""Of packets that have not become a frame; more than a minute of them."""


class InOrder:
    """Packets of sound in their order, each at once; the next is waited for while others come."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, RtpPacket] = {}

    def feed(self, packet: RtpPacket) -> list[RtpPacket]:
        """What can be heard now; a packet that was given up is dropped when it comes."""
        if self._next is None:
            self._next = packet.sequence_number
        if (packet.sequence_number - self._next) & 0xFFFF >= 0x8000:
            return []
        self._held[packet.sequence_number] = packet
        ready = []
        while self._next in self._held or len(self._held) > HELD_PACKETS:
            if self._next in self._held:
                ready.append(self._held.pop(self._next))
            self._next = (self._next + 1) & 0xFFFF
        return ready


class Straight(JitterBuffer):
    """Every packet is a frame and leaves at once."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame]:
        return False, JitterFrame(vars(packet)["_data"], packet.timestamp)


class Tap:
    """Stands before a receiver and hears what it keeps to itself."""

    def __init__(self, receiver: RTCRtpReceiver, rate_hz: int) -> None:
        self._order = InOrder() if rate_hz == SOUND_HZ else None
        if self._order is not None:
            vars(receiver)["_RTCRtpReceiver__jitter_buffer"] = Straight(capacity=16)
        self.clock = SenderClock()
        self._receiver, self._own = receiver, vars(receiver)
        self._ssrc: int | None = None
        self._asked_s = 0.0
        self._rate_hz = rate_hz
        self._rtp, self._rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
        self._own.update(_handle_rtp_packet=self._on_rtp, _handle_rtcp_packet=self._on_rtcp)
        self._arrivals: dict[int, float] = {}
        self._last_pts = 0
        self._last_s = 0.0

    async def _on_rtp(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self._arrivals[packet.timestamp] = time.monotonic()
        if len(self._arrivals) > KEPT_ARRIVALS:
            self._arrivals.pop(next(iter(self._arrivals)))
        for ready in self._order.feed(packet) if self._order else [packet]:
            await self._rtp(ready, arrival_time_ms)
        await self._ask_again(packet)

    async def _ask_again(self, packet: RtpPacket) -> None:
        """The first packet is of the stream itself; those sent again have another source."""
        self._ssrc = self._ssrc or packet.ssrc
        losses = self._own["_RTCRtpReceiver__nack_generator"]
        if losses and losses.missing and time.monotonic() - self._asked_s >= ASK_AGAIN_S:
            self._asked_s = time.monotonic()
            await self._receiver._send_rtcp_nack(self._ssrc, sorted(losses.missing))

    async def _on_rtcp(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket) and self._last_s:
            ahead = (packet.sender_info.rtp_timestamp - self._stamp(self._last_pts)) & 0xFFFFFFFF
            pts = self._last_pts + (ahead ^ 0x80000000) - 0x80000000
            ntp_s = packet.sender_info.ntp_timestamp / 2**32
            self.clock.reports.append((pts / self._rate_hz, ntp_s))
        await self._rtcp(packet)

    def arrival_s(self, pts: int) -> float:
        """When the last packet of this frame came; frames are shown in order."""
        came_s = self._arrivals.pop(self._stamp(pts), time.monotonic())
        self._last_pts, self._last_s = pts, max(self._last_s, came_s)
        return self._last_s

    def _stamp(self, pts: int) -> int:
        """The time stamp in the packets, of which aiortc makes one that starts at 0."""
        mapper = self._own["_RTCRtpReceiver__timestamp_mapper"]
        stamp: int = (pts + mapper._origin) & 0xFFFFFFFF
        return stamp
