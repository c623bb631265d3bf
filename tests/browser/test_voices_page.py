"""The page of the voices in a real browser: they are heard, added, recorded, given and deleted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from engines.base import HEARING_RATE_HZ, Audio, KnownVoice
from engines.tts.choice import PlainEspeak, espeak_voices
from serve_app.recording import wav_bytes
from serve_app.settings import Settings
from tests.browser.chromium import Tab, tab
from tests.browser.test_admin_page import MORE_HANDS, give, go, log_in, pick, press
from tests.browser.test_lesson_page import HANDS, dist, seen
from tests.running import plain, stub_engines
from tests.web_server.schools import move_in, open_site, settings_for

__all__ = ["dist"]  # a fixture

EARS = """
window.heard = [];
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () { heard.push(this); return play.call(this); };
window.fetched = (end) => performance.getEntriesByType('resource')
  .some(({ name }) => name.endsWith(end));
"""
"""What sounds, though it stands nowhere on the page, and what was asked for."""

A_MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""That beeps every second, and is allowed without asking."""

SHOWN = "document.querySelectorAll('section ul li').length"


async def espeaks() -> list[KnownVoice]:
    return espeak_voices()


@asynccontextmanager
async def voices_page(home: Path, dist: Path, *flags: str) -> AsyncIterator[Tab]:
    """An administrator at the page of the voices, of which espeak-ng brings a hundred along."""
    engines = stub_engines(speak=PlainEspeak(), voices=espeaks)
    with plain(Settings(tutor_home=home), engines) as engine:
        settings = settings_for(home, engine.url, frontend_dist=dist)
        people = await move_in(settings)
        with open_site(settings) as site:
            async with tab(
                home / "profile", "--lang=en", "--window-size=1280,900", *flags
            ) as browser:
                for domain in ("Runtime", "Log", "Page"):
                    await browser.call(f"{domain}.enable")
                await browser.call(
                    "Page.addScriptToEvaluateOnNewDocument", source=HANDS + MORE_HANDS + EARS
                )
                await browser.call("Page.navigate", url=f"{site.url}/admin/voices")
                await log_in(browser, people.ada)
                await seen(browser, "document.querySelector('h1')?.innerText === 'Voices'")
                yield browser


def recording(path: Path, length_s: float) -> Path:
    at = np.arange(round(length_s * HEARING_RATE_HZ)) / HEARING_RATE_HZ
    tone = (3_000 * np.sin(2 * np.pi * 200 * at)).astype(np.int16)
    path.write_bytes(wav_bytes(Audio(tone, HEARING_RATE_HZ)))
    return path


async def listen(browser: Tab, name: str) -> None:
    """Until it sounds."""
    count = await browser.value("heard.length")
    await press(browser, f"named('Listen to {name}')")
    await seen(browser, f"heard.length > {count} && heard.at(-1).currentTime > 0.1")
    await seen(browser, f"named('Stop {name}')?.dataset.listening === 'playing'")


async def delete(browser: Tab, name: str) -> None:
    await press(browser, f"named('Delete {name}')")
    await press(browser, "inDialog('Delete')")


async def test_a_hundred_voices_are_found_and_heard(tmp_path: Path, dist: Path) -> None:
    async with voices_page(tmp_path, dist) as browser:
        await seen(browser, f"{SHOWN} === 12")
        await press(browser, "named('Show all')")
        await seen(browser, f"{SHOWN} === {len(espeak_voices())}")
        await browser.value("write('input[name=search]', 'f3')")
        await seen(browser, f"{SHOWN} === 1")
        await listen(browser, "f3")
        await browser.value("write('input[name=search]', 'm')")
        await seen(browser, "heard.at(-1).paused")  # what is no longer shown is silent
        await listen(browser, "m1")
        await listen(browser, "m2")
        await seen(browser, "named('Listen to m1')")  # one at a time
        await press(browser, "named('Stop m2')")
        await seen(browser, "heard.at(-1).paused && named('Listen to m2')")
        await browser.value("write('input[name=search]', 'nobody')")
        await seen(browser, "shown('No voice is called like that.')")
        assert browser.complaints == []


async def add(browser: Tab, name: str, file: Path) -> None:
    await press(browser, "named('Add a voice')")
    await give(browser, file)
    await seen(browser, "dialog().querySelector('audio')?.duration === 5")
    await press(browser, "inDialog('Make the voice')")
    await seen(browser, "dialog().innerText.includes('Enter a name.')")
    await browser.value(f"write('input[name=voice]', '{name}')")
    await press(browser, "inDialog('Make the voice')")
    await seen(browser, f"!dialog() && shown('{name}')")


async def new_tutor(browser: Tab) -> None:
    await go(browser, "tutors")
    await press(browser, "named('New tutor')")
    await seen(browser, "document.querySelector('input[name=subject]')")


async def make_tutor(browser: Tab, name: str, voice: str) -> None:
    """Its voice is heard before it is saved."""
    await new_tutor(browser)
    await listen(browser, "The usual one")
    await browser.value(f"write('input[name=name]', '{name}')")
    await browser.value("write('input[name=model]', 'qwen2.5:7b')")
    await pick(browser, "voice", voice)
    await listen(browser, voice)
    await seen(browser, f"fetched('{voice}/sample?language=en&rate=1&pitch=1')")
    await press(browser, "named('Save')")
    await seen(browser, "shown('Saved')")


async def take_voice(browser: Tab, tutor: str) -> None:
    await go(browser, "tutors")
    await press(browser, f"named('{tutor}')")
    await press(browser, "document.querySelector('button[aria-label=\"The usual one\"]')")
    await press(browser, "named('Save')")
    await seen(browser, "shown('Saved') && !shown('Not saved yet')")


async def test_a_voice_is_added_given_and_deleted(tmp_path: Path, dist: Path) -> None:
    file = recording(tmp_path / "emma.wav", 5)
    async with voices_page(tmp_path, dist) as browser:
        await seen(browser, "shown('There is no voice of a person yet')")
        await add(browser, "Emma", file)
        await seen(browser, "shown('No tutor has it') && shown('cannot speak with a person')")
        await listen(browser, "Emma")
        await make_tutor(browser, "Nimbus", "Emma")
        await go(browser, "voices")
        await seen(browser, "shown('The voice of Nimbus')")
        assert browser.complaints == []

        await delete(browser, "Emma")
        await seen(browser, "dialog().innerText.includes('It is the voice of Nimbus')")
        await press(browser, "inDialog('Cancel')")
        browser.complaints.clear()  # of the refusal, which the browser tells too
        await take_voice(browser, "Nimbus")
        await go(browser, "voices")
        await delete(browser, "Emma")
        await seen(browser, "!dialog() && shown('There is no voice of a person yet')")

        await new_tutor(browser)
        await press(browser, "document.querySelector('input[name=model]')")
        await seen(browser, "option('qwen2.5:7b')")  # as another tutor has it
        assert browser.complaints == []


async def test_a_recording_that_is_too_short_is_not_sent(tmp_path: Path, dist: Path) -> None:
    file = recording(tmp_path / "short.wav", 2)
    async with voices_page(tmp_path, dist) as browser:
        await press(browser, "named('Add a voice')")
        await seen(browser, "dialog()?.innerText.includes('cannot speak with a person')")
        await give(browser, file)
        await seen(browser, "dialog().innerText.includes('shorter than 3 seconds')")
        await browser.value("write('input[name=voice]', 'Emma')")
        await press(browser, "inDialog('Make the voice')")
        await press(browser, "inDialog('Take another one')")
        await press(browser, "inDialog('Make the voice')")
        await seen(browser, "dialog().innerText.includes('Record the person')")
        await press(browser, "inDialog('Cancel')")
        await seen(browser, "!dialog() && shown('There is no voice of a person yet')")
        assert browser.complaints == []


async def test_a_voice_is_recorded_right_here(tmp_path: Path, dist: Path) -> None:
    async with voices_page(tmp_path, dist, *A_MICROPHONE) as browser:
        await press(browser, "named('Add a voice')")
        await seen(browser, "dialog()?.querySelector('input[name=voice]')")
        await browser.value("write('input[name=voice]', 'Beep')")
        await press(browser, "inDialog('Record here')")
        elapsed = "parseFloat(dialog().querySelector('[role=timer]')?.innerText)"
        await seen(browser, f"{elapsed} > 4")
        await press(browser, "inDialog('Stop recording')")
        await seen(browser, "dialog().querySelector('audio')?.src.startsWith('blob:')")
        await browser.value("dialog().querySelector('audio').play()")
        await seen(browser, "dialog().querySelector('audio').currentTime > 0.1")
        await press(browser, "inDialog('Make the voice')")
        await seen(browser, "!dialog() && shown('Beep')")
        assert browser.complaints == []
