"""The page at `/demo` in a real browser: what a learner sees, and that nothing is complained of."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from engines.base import Audio
from engines.knowledge.listing import Base
from engines.stub import StubLlm, StubTts
from serve_app.recording import wav_bytes
from serve_app.settings import Settings
from tests.browser.chromium import tab
from tests.running import NoBases, Running, plain, stub_engines

MICROPHONE_HZ = 48_000
ANSWER = "This is the answer of the stub."
LONG = tuple(f"Sentence number {number} is here. " for number in range(40))


class NoCourses(NoBases):
    """There could be some."""

    async def bases(self) -> list[Base]:
        return []


@contextlib.contextmanager
def gateway(home: Path, **engines: Any) -> Iterator[Running]:
    with plain(Settings(tutor_home=home), stub_engines(bases=NoCourses(), **engines)) as engine:
        yield engine


# `relay=1` allows no path but a relay, and there is none: the conversation stays on the socket.


async def test_a_question_is_answered_and_nothing_is_complained_of(tmp_path: Path) -> None:
    with gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&tutor=2")
            assert await browser.value("document.querySelector('#text').disabled")
            assert await browser.value("tutor.sessionId") is None
            await browser.value("document.querySelector('#start').click()")
            await browser.until("tutor.connected")
            assert {"deltas", "metrics", "state"} <= set(await browser.value("tutor.features"))
            async with engine.http() as http:
                sessions = (await http.get("/v1/sessions")).json()
            assert [s["session_id"] for s in sessions] == [await browser.value("tutor.sessionId")]
            assert sessions[0]["tutor_id"] == 2

            await browser.until("tutor.errors.length > 0")
            await browser.until("document.querySelectorAll('.notice').length > 0")
            await browser.value(
                "document.querySelector('#text').value = 'Hello?';"
                "document.querySelector('#send').click()"
            )
            await browser.until("tutor.messages.length === 2 && tutor.metrics !== null")
            await browser.until("tutor.latencyMs !== null")
            await browser.until("tutor.state === 'idle'")
            said = await browser.value(
                "[...document.querySelectorAll('.log li')].map(one => one.textContent)"
            )
            assert said == ["Hello?", ANSWER]
            assert await browser.value("tutor.link") == "socket"
            assert await browser.value("tutor.latencyMs") > 0
            assert ANSWER.startswith(await browser.value("tutor.lastCaption"))
            assert browser.complaints == []


async def test_an_interrupted_answer_shows_what_was_heard(tmp_path: Path) -> None:
    slow = {"think": lambda tutor: StubLlm(LONG, gap_s=0.02), "speak": StubTts(piece_seconds=0.5)}
    with gateway(tmp_path, **slow) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1")
            await browser.until("tutor.connected")
            await browser.value("tutor.say('Tell me everything.')")
            await browser.until("tutor.state === 'speaking' && tutor.voiceLevel > 0.01")
            await asyncio.sleep(1.5)
            await browser.value("document.querySelector('#stop').click()")
            await browser.until("tutor.messages.length === 2 && tutor.messages[1].cut")
            await browser.until("tutor.state === 'idle' && tutor.voiceLevel < 0.01")
            cut = await browser.value("tutor.messages[1].text")
            assert cut
            assert "".join(LONG).startswith(cut)
            assert await browser.value("document.querySelector('.log .cut') !== null")
            assert browser.complaints == []


async def test_each_tutor_has_a_conversation_of_their_own(tmp_path: Path) -> None:
    with gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1&tutor=1")
            await browser.until("tutor.connected")
            await browser.value("tutor.say('One')")
            await browser.until("tutor.messages.length === 2 && tutor.state === 'idle'")
            await browser.value("document.querySelector('[name=tutor][value=\"3\"]').click()")
            await browser.until("document.querySelector('#greeting').textContent.includes('David')")
            assert await browser.value("tutor.messages") == []
            await browser.value("tutor.say('Three')")
            await browser.until("tutor.messages.length === 2 && tutor.state === 'idle'")
            await browser.value("tutor.switchTutor(1)")
            assert await browser.value("tutor.messages[0].text") == "One"
            async with engine.http() as http:
                sessions = (await http.get("/v1/sessions")).json()
            assert sorted(session["tutor_id"] for session in sessions) == [1, 3]
            await browser.call("Page.navigate", url="about:blank")
            await asyncio.sleep(1)
            async with engine.http() as http:
                assert (await http.get("/v1/sessions")).json() == []
            assert browser.complaints == []


async def test_a_wanted_key_is_asked_for(tmp_path: Path) -> None:
    settings = Settings(tutor_home=tmp_path, engine_api_key=SecretStr("a-secret-key-for-the-test"))
    with plain(settings, stub_engines()) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1")
            await browser.value("document.querySelector('#start').click()")
            await browser.until("!document.querySelector('#key-row').hidden")
            await browser.value(
                "document.querySelector('#key').value = 'a-secret-key-for-the-test';"
                "document.querySelector('#start').click()"
            )
            await browser.until("tutor.connected")
            kept = await browser.value("JSON.stringify([{...localStorage}, {...sessionStorage}])")
            assert "a-secret-key" not in kept


async def test_the_page_comes_back_when_its_sessions_have_ended(tmp_path: Path) -> None:
    with gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1")
            await browser.until("tutor.connected")
            before = await browser.value("tutor.sessionId")
            async with engine.http() as http:
                await http.delete(f"/v1/sessions/{before}")
            await browser.until(f"tutor.connected && tutor.sessionId !== '{before}'")
            await browser.value("tutor.say('Again')")
            await browser.until("tutor.messages.length === 2")


DOWNSAMPLED = """
(async () => {
  const { Downsampler } = await import("/demo/downsampler.js");
  const heard = (rate, tone) => {
    const downsampler = new Downsampler(rate, 16000);
    const samples = [];
    const at = (place) => Math.sin(2 * Math.PI * tone * place / rate);
    for (let start = 0; start < rate; start += 128) {
      const block = Float32Array.from({ length: 128 }, (_, index) => at(start + index));
      samples.push(...downsampler.feed(block));
    }
    const middle = samples.slice(2000, 14000);
    const power = middle.reduce((sum, sample) => sum + sample * sample, 0) / middle.length;
    return [samples.length, Math.sqrt(power)];
  };
  return [48000, 44100].map((rate) => [1000, 6000, 10000].map((tone) => heard(rate, tone)));
})()
"""


async def test_the_microphone_is_downsampled_without_folding(tmp_path: Path) -> None:
    with gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo")
            for rate in await browser.value(DOWNSAMPLED):
                (count, low), (_, high), (_, beyond) = rate
                assert abs(count - 16_000) < 200
                assert low == pytest.approx(0.707, abs=0.02)
                assert high == pytest.approx(0.707, abs=0.03)
                assert beyond < 0.01


def spoken(file: Path) -> tuple[str, ...]:
    """Flags for a microphone that says one thing, once."""
    times = np.arange(int(1.2 * MICROPHONE_HZ)) / MICROPHONE_HZ
    tone = 9_000 * np.sin(2 * np.pi * 220 * times) * np.sin(2 * np.pi * 3 * times)
    silence = np.zeros(MICROPHONE_HZ)
    samples = np.concatenate([silence, tone, *[silence] * 30]).astype(np.int16)
    file.write_bytes(wav_bytes(Audio(samples, MICROPHONE_HZ)))
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={file}%noloop",
    )


@pytest.mark.parametrize(("wish", "link"), [("", "live"), ("&relay=1", "socket")])
async def test_a_spoken_question_is_answered(tmp_path: Path, wish: str, link: str) -> None:
    with gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile", *spoken(tmp_path / "question.wav")) as browser:
            await browser.open(f"{engine.url}/demo?autostart=1{wish}")
            await browser.until(f"tutor.link === '{link}'")
            await browser.value("document.querySelector('#mic').click()")
            await browser.until("tutor.listening === 'open'")
            await browser.until("tutor.microphoneLevel > 0.5")
            await browser.until("tutor.messages.length === 2 && tutor.latencyMs !== null")
            messages = await browser.value("tutor.messages")
            assert messages[0]["text"] == await browser.value("tutor.lastTranscript")
            assert await browser.value("tutor.latencyMs") > 0
            await browser.value("document.querySelector('#mic').click()")
            await browser.until("tutor.listening === 'closed' && tutor.microphoneLevel < 0.1")
            assert browser.complaints == []


async def test_the_space_bar_is_a_key_to_talk(tmp_path: Path) -> None:
    space = {"code": "Space", "key": " ", "windowsVirtualKeyCode": 32}
    with gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile", *spoken(tmp_path / "question.wav")) as browser:
            await browser.open(f"{engine.url}/demo?autostart=1")
            await browser.until("tutor.link === 'live'")
            await browser.call("Input.dispatchKeyEvent", type="keyDown", **space)
            await browser.until("tutor.listening === 'held' && tutor.microphoneLevel > 0.5")
            await asyncio.sleep(1.5)
            await browser.call("Input.dispatchKeyEvent", type="keyUp", **space)
            await browser.until("tutor.listening === 'closed'")
            await browser.until("tutor.messages.length === 2")
            letter = {"code": "KeyH", "key": "h", "text": "h"}
            await browser.call("Input.dispatchKeyEvent", type="keyDown", **letter)
            assert await browser.value("document.querySelector('#text').value") == "h"
            assert browser.complaints == []
