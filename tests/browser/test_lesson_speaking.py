"""A student who speaks: a microphone with a question in it, the lesson's page, and a tutor who is
heard, over WebRTC and where a network allows none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.asr.sphinx import SphinxAsr
from engines.tts.espeak import EspeakTts
from tests.browser.chromium import Tab
from tests.browser.test_lesson_page import ANSWER, NO_WEBRTC, dist, pupil, school, seen
from tests.browser.test_live_page import microphone

__all__ = ["dist"]  # a fixture: the page is built

QUESTION, HEARD = "one two three four five", "two three"
SPOKEN_LIMIT_S = 90.0
"""The microphone says it three times, and recognising takes its time on a busy machine."""

WAYS = {"live": "", "socket": NO_WEBRTC}
"""What carries the voices, and what takes the other way from the browser."""

# How loud the tutor has been here at most, and whether the learner has said something and is silent
# again: both as the page's own meters show it.
EARS = """
(() => {
  const OVER_MS = 800; // longer than any rest between two words
  let lastLoudMs = null;
  window.loudest = 0;
  const level = (element) => Number(element?.style.getPropertyValue('--level') ?? 0);
  setInterval(() => {
    const tutor = document.querySelector('[data-activity]');
    window.loudest = Math.max(window.loudest, level(tutor));
    const meter = document.querySelector('button[aria-pressed]');
    if (level(meter) > 0.4) lastLoudMs = performance.now();
  }, 40);
  window.hasSpoken = () => lastLoudMs !== null && performance.now() - lastLoudMs > OVER_MS;
})();
"""

SPACE = {"code": "Space", "key": " ", "windowsVirtualKeyCode": 32}
BUTTON_MIDDLE = """
(() => {
  const { x, y, width, height } = named('Hold to talk').getBoundingClientRect();
  return { x: x + width / 2, y: y + height / 2 };
})()
"""


@asynccontextmanager
async def lesson(home: Path, dist: Path, link: str) -> AsyncIterator[Tab]:
    """A lesson that has begun, before the learner has said anything."""
    flags = await microphone(home, QUESTION)
    with school(home, dist, hear=SphinxAsr(), speak=EspeakTts()) as (_, url):
        async with pupil(home, url, EARS + WAYS[link], *flags) as browser:
            await seen(browser, f"link() === '{link}'", limit_s=60)
            yield browser


async def answered(browser: Tab) -> None:
    """The question is understood and shown as spoken, and its answer read and heard."""
    question = f"said().some(one => one[0] === 'whole' && one[1].toLowerCase().includes('{HEARD}'))"
    await seen(browser, question, SPOKEN_LIMIT_S)
    await seen(browser, "document.querySelector('li svg[aria-label=\"Spoken\"]')")
    await seen(browser, f"said().some(one => one[0] === 'whole' && one[1] === '{ANSWER}')")
    await seen(browser, "loudest > 0.2")
    assert browser.complaints == []


@pytest.mark.parametrize("link", WAYS)
async def test_a_question_is_asked_hands_free(tmp_path: Path, dist: Path, link: str) -> None:
    async with lesson(tmp_path, dist, link) as browser:
        await browser.value("named('Open the microphone').click()")
        await seen(browser, "named('Close the microphone')")
        await answered(browser)
        assert await browser.value("link()") == link
        await browser.value("named('Close the microphone').click()")
        await seen(browser, "named('Open the microphone')")


async def test_a_question_is_asked_while_the_button_is_held(tmp_path: Path, dist: Path) -> None:
    async with lesson(tmp_path, dist, "live") as browser:
        at = {**await browser.value(BUTTON_MIDDLE), "button": "left", "clickCount": 1}
        await browser.call("Input.dispatchMouseEvent", type="mousePressed", **at)
        await held_until_spoken(browser)
        await browser.call("Input.dispatchMouseEvent", type="mouseReleased", **at)
        await let_go(browser)


async def test_a_question_is_asked_while_the_key_is_held(tmp_path: Path, dist: Path) -> None:
    async with lesson(tmp_path, dist, "socket") as browser:
        await browser.value("document.activeElement.blur()")
        await browser.call("Input.dispatchKeyEvent", type="keyDown", **SPACE)
        await held_until_spoken(browser)
        await browser.call("Input.dispatchKeyEvent", type="keyUp", **SPACE)
        await let_go(browser)


async def held_until_spoken(browser: Tab) -> None:
    await seen(browser, "named('Let go to send')")
    await seen(browser, "hasSpoken()")
    assert await browser.value("said().every(one => one[0] === 'partial')"), "not before it is over"


async def let_go(browser: Tab) -> None:
    await seen(browser, "named('Hold to talk')")
    await answered(browser)
