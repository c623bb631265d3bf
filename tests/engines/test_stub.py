import numpy as np
import pytest

from engines.base import FPS, VAD_WINDOW, Audio, Cue, Patch, Vad, Voice
from engines.sound import joined
from engines.stub import LIGHT_PX, MOUTH_PX, STUB_RATE_HZ, StubAvatar, StubTts, StubVad
from serve_app.framing import Framing

BEAT_S = 0.4
BEAT = round(BEAT_S * STUB_RATE_HZ)


async def spoken(tts: StubTts) -> Audio:
    return joined([piece async for piece in tts.speak("Hello.", Voice())])


async def drawn(speech: Audio, cue: Cue) -> Patch:
    """The loudness of a stretch of speech."""
    stub = StubAvatar(shows="loudness")
    patches = [patch async for patch in stub.animate(speech, cue)]
    assert len(patches) == 1
    return patches[0]


async def test_the_voice_hums_without_a_rest() -> None:
    speech = await spoken(StubTts(pieces=4))
    frames = speech.samples.reshape(-1, STUB_RATE_HZ // FPS)
    assert len(frames) == 20
    assert (np.abs(frames).max(axis=1) > 7000).all()


async def test_a_beat_goes_on_across_pieces() -> None:
    whole = await spoken(StubTts(pieces=8))
    beaten = await spoken(StubTts(pieces=8, beat_s=BEAT_S))
    assert beaten.samples.dtype == np.int16
    parts = zip(beaten.samples.reshape(-1, BEAT), whole.samples.reshape(-1, BEAT), strict=True)
    for index, (part, tone) in enumerate(parts):
        assert np.array_equal(part, tone if index % 2 == 0 else np.zeros(BEAT))


async def test_a_face_shows_its_index() -> None:
    speech = await spoken(StubTts())
    patches = [patch async for patch in StubAvatar().animate(speech, Cue("anna", 250, 0, 10))]
    assert patches[0].pixels.shape == (10, MOUTH_PX, MOUTH_PX, 3)
    assert patches[0].pixels[:, 0, 0, 0].tolist() == [250, 251, 252, 253, 254, 255, 0, 1, 2, 3]


async def test_a_face_lights_up_while_it_is_loud() -> None:
    speech = await spoken(StubTts(pieces=8, beat_s=BEAT_S))
    patch = await drawn(speech, Cue("anna", 7, 0, 40))
    assert patch.first_frame == 7 and (patch.x, patch.y) == (0, 0)
    assert patch.pixels.shape == (40, LIGHT_PX, LIGHT_PX, 3)
    assert patch.pixels[:, 5, 5, 0].tolist() == ([255] * 10 + [0] * 10) * 2


async def test_light_and_sound_agree_stretch_by_stretch() -> None:
    framing = Framing("anna", 0)
    stretches = []
    async for piece in StubTts(pieces=8, beat_s=BEAT_S).speak("Hello.", Voice()):
        stretches += framing.feed(piece)
    stretches += framing.flush()
    patches = [await drawn(stretch.speech, stretch.cue) for stretch in stretches]
    greys = np.concatenate([patch.pixels[:, 0, 0, 0] for patch in patches])
    assert greys.tolist() == ([255] * 10 + [0] * 10) * 2


async def test_what_is_not_there_is_dark() -> None:
    speech = Audio(np.full(STUB_RATE_HZ // FPS, 5000, np.int16), STUB_RATE_HZ)
    assert (await drawn(speech, Cue("anna", 0, 0, 2))).pixels[:, 0, 0, 0].tolist() == [255, 0]


@pytest.mark.parametrize(("level", "speech"), [(0, 0.0), (400, 0.0), (600, 1.0), (30_000, 1.0)])
def test_every_sound_is_speech(level: int, speech: float) -> None:
    vad: Vad = StubVad()
    assert vad.speech(np.full(VAD_WINDOW, level, np.int16)) == speech
