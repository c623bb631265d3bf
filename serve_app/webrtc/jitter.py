"""The order of a learner's voice packets, at the least delay that keeps it.

aiortc's own buffer holds four packets back (80 ms) and, after one is lost, up to sixteen: for the
rest of the call everything comes 320 ms late. A tutor that waits for silence pays that in every
answer. `SpeechJitter` holds nothing back while packets come in order.
"""

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

PATIENCE = 2
"""Packets behind a missing one before it is given up: 40 ms. Networks that change the order swap
neighbours; longer waiting would only delay what has been said."""

LONGEST_GAP = 3000
"""Forward; and `FURTHEST_BACK` the other way: RFC 3550, A.1. Beyond them it is a new numbering."""

FURTHEST_BACK = 100

FIRST_DYNAMIC_TYPE = 96
"""Payload types from here on are Opus; below, of those that aiortc knows, G.711 and G.722."""

LONGEST_OPUS = 6
"""Frames of 20 ms in one Opus packet: 120 ms, RFC 6716, 3.2.5."""

_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class SpeechJitter(JitterBuffer):
    """In-order packets leave at once; behind a missing one at most `PATIENCE` wait.

    A call can return one frame only, and the waiting packets are several. Releasing one per call
    would keep the lag for ever, and skipping would cut holes into what was said. So the waiting
    packets leave as one longer frame: the lag is over at once and nothing is lost. Opus packets
    are joined as RFC 6716 has it, where their configuration is the same; what cannot be joined
    waits for the next call.

    Late packets and duplicates are dropped: a decoder cannot go back. Lost ones leave a gap in
    the timestamps.
    """

    def __init__(self) -> None:
        super().__init__(capacity=16)
        self._next = 0
        """The sequence number whose turn it is; 16 bits, so it wraps around."""
        self._ssrc: int | None = None
        self._renumbered: int | None = None
        self._waiting: dict[int, RtpPacket] = {}

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; returns that no key frame is needed, and what is ready to be decoded."""
        if not self._is_due(packet):
            return False, None
        self._waiting[packet.sequence_number] = packet
        if len(self._waiting) >= PATIENCE:
            self._give_up()
        run = self._run()
        return False, _joined(run) if run else None

    def _is_due(self, packet: RtpPacket) -> bool:
        """Whether its turn is now or later; not when it is late, or its number is suspect."""
        number = packet.sequence_number
        if packet.ssrc != self._ssrc:
            self._restart(packet)
        ahead = (number - self._next) & 0xFFFF
        if ahead < LONGEST_GAP:
            return True
        if 0x10000 - ahead <= FURTHEST_BACK:
            return False
        if number == self._renumbered:  # two in a row: really a new numbering
            self._restart(packet)
            return True
        self._renumbered = _after(number)
        return False

    def _restart(self, packet: RtpPacket) -> None:
        self._waiting.clear()
        self._renumbered = None
        self._ssrc = packet.ssrc
        self._next = packet.sequence_number

    def _give_up(self) -> None:
        """Go on with the first packet that is there."""
        start = self._next
        self._next = min(self._waiting, key=lambda number: (number - start) & 0xFFFF)

    def _run(self) -> list[RtpPacket]:
        """Take the packets that follow each other without a gap and can be joined."""
        run: list[RtpPacket] = []
        while (packet := self._waiting.get(self._next)) and _joins(run, packet):
            if _data(packet):  # an empty one would tell the decoder that the stream has ended
                run.append(packet)
            del self._waiting[packet.sequence_number]
            self._next = _after(packet.sequence_number)
        return run


def use_for_speech(receiver: RTCRtpReceiver) -> None:
    """Put a `SpeechJitter` in place of the receiver's own buffer, before the first packet.

    aiortc offers no way to choose the buffer, so this replaces its private attribute. Raises
    `AttributeError` if a later aiortc has none of that name: nothing must fail silently here.
    """
    if not isinstance(getattr(receiver, _BUFFER), JitterBuffer):
        raise AttributeError(f"{_BUFFER} is no JitterBuffer")
    setattr(receiver, _BUFFER, SpeechJitter())


def _after(number: int) -> int:
    return (number + 1) & 0xFFFF


def _data(packet: RtpPacket) -> bytes:
    data: bytes = vars(packet)["_data"]  # what the receiver unpacked from the payload
    return data


def _joins(run: list[RtpPacket], packet: RtpPacket) -> bool:
    """Whether the packet can go into one frame with those before it."""
    if not run:
        return True
    if packet.payload_type != run[0].payload_type:
        return False
    if packet.payload_type < FIRST_DYNAMIC_TYPE:
        return True
    first, other = _data(run[0]), _data(packet)
    return (
        len(run) < LONGEST_OPUS and _is_single(first) and _is_single(other) and first[0] == other[0]
    )


def _is_single(opus: bytes) -> bool:
    """One 20 ms frame, or shorter, in the packet; RFC 6716, 3.1: configuration and frame count."""
    if not opus or opus[0] & 0b11:
        return False
    configuration = opus[0] >> 3
    return configuration >= 12 or configuration % 4 < 2


def _joined(run: list[RtpPacket]) -> JitterFrame:
    pieces = [_data(packet) for packet in run]
    if len(run) == 1 or run[0].payload_type < FIRST_DYNAMIC_TYPE:
        return JitterFrame(b"".join(pieces), run[0].timestamp)
    return JitterFrame(_one_opus_packet(pieces), run[0].timestamp)


def _one_opus_packet(packets: list[bytes]) -> bytes:
    """Code 3 of RFC 6716, 3.2.5: the frames' count, all lengths but the last, the frames."""
    frames = [packet[1:] for packet in packets]
    head = bytes([packets[0][0] | 0b11, 0b1000_0000 | len(frames)])
    return head + b"".join(_length(frame) for frame in frames[:-1]) + b"".join(frames)


def _length(frame: bytes) -> bytes:
    """RFC 6716, 3.2.1: one byte below 252, else two."""
    size = len(frame)
    if size < 252:
        return bytes([size])
    low = 252 + (size & 0b11)
    return bytes([low, (size - low) >> 2])
