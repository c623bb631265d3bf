"""What a finished answer looks like on the wire: each documented question has its documented reply,
and no client is given the voice twice."""

import base64
from typing import Literal

from engines.base import Audio
from serve_app.recording import compressed_bytes, join, wav_bytes
from serve_app.turn import Answer
from wire.events import AudioEvent, AudioFormat, ServerEvent, TextEvent, VideoEvent

Shape = Literal["text", "audio", "video", "caption"]
"""`text`: one `text` with `audio` in it; `audio`: a `text` and then an `audio`; `video`: a `video`
with both in it; `caption`: a `text` alone, the voice being heard elsewhere."""


def reply_events(shape: Shape, answer: Answer, audio_format: AudioFormat) -> list[ServerEvent]:
    """Pack the answer. Without a picture a `video` becomes a `text`; without a voice there is none.
    Packing takes time, so call it in a thread."""
    if shape == "caption":
        return [TextEvent(content=answer.text)]
    voice = _packed(answer.voice, audio_format)
    if shape == "video" and answer.video is not None and voice is not None:
        video = base64.b64encode(answer.video).decode()
        return [VideoEvent(video=video, audio=voice, content=answer.text)]
    if shape == "audio":
        events: list[ServerEvent] = [TextEvent(content=answer.text)]
        return events + [AudioEvent(data=voice)] if voice else events
    return [TextEvent(content=answer.text, audio=voice)]


def _packed(pieces: list[Audio], audio_format: AudioFormat) -> str | None:
    if not pieces:
        return None
    audio = join(pieces)
    packed = wav_bytes(audio) if audio_format == "wav" else compressed_bytes(audio, audio_format)
    return base64.b64encode(packed).decode()
