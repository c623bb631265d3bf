"""The front end in a real browser, before a real web server and the gateway with stub engines."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.asr.sphinx import SphinxAsr
from engines.avatar.viseme.engine import VisemeAvatar
from engines.avatar.viseme.portrait import portrait
from engines.stub import StubLlm, StubTts
from engines.tts.espeak import EspeakTts
from serve_app.settings import Settings
from tests.browser.chromium import LIMIT_S, Tab, tab
from tests.running import PROJECT, Running, plain, stub_engines
from tests.web_server.schools import open_site, settings_for

DIST = PROJECT / "frontend/dist"
ANSWER = "This is the answer of the stub."
LONG = tuple(f"Sentence number {number} is here. " for number in range(40))

# What a person does, by what they see.
HANDS = """
window.named = (text) => [...document.querySelectorAll('button, a')]
  .find(one => (one.ariaLabel ?? one.textContent).includes(text));
window.write = (selector, text) => {
  const field = document.querySelector(selector);
  const value = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value');
  value.set.call(field, text);
  field.dispatchEvent(new Event('input', { bubbles: true }));
};
window.said = () => [...document.querySelectorAll('li[data-state]')]
  .map(one => [one.dataset.state, one.textContent]);
window.link = () => document.querySelector('[data-link]')?.dataset.link;
"""

NO_WEBRTC = "delete window.RTCPeerConnection;"


@pytest.fixture(scope="module")
def dist() -> Path:
    if not (DIST / "index.html").is_file():
        message = "The page is not built: make page"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return DIST


@contextlib.contextmanager
def school(home: Path, dist: Path, **engines: Any) -> Iterator[tuple[Running, str]]:
    """The gateway, and the address of a web server before it with the demo's people and tutors."""
    with plain(Settings(tutor_home=home), stub_engines(**engines)) as engine:
        settings = settings_for(home, engine.url, demo_accounts=True, frontend_dist=dist)
        with open_site(settings) as site:
            yield engine, site.url


@contextlib.asynccontextmanager
async def pupil(home: Path, url: str, scripts: str = "", *flags: str) -> AsyncIterator[Tab]:
    """A browser in which the student has logged in and chosen Anna."""
    async with tab(home / "profile", "--lang=en", *flags) as browser:
        for domain in ("Runtime", "Log", "Page"):
            await browser.call(f"{domain}.enable")
        await browser.call("Page.addScriptToEvaluateOnNewDocument", source=HANDS + scripts)
        await browser.call("Page.navigate", url=url)
        await seen(browser, "location.pathname === '/login' && named('Log in')")
        await log_in(browser, "student123")
        await seen(browser, "named('lesson with Anna')")
        await browser.value("named('lesson with Anna').click()")
        await seen(browser, "named('Begin the lesson')")
        await browser.value("named('Begin the lesson').click()")
        yield browser


async def seen(browser: Tab, expression: str, limit_s: float = LIMIT_S) -> None:
    """Wait until it is true; what it finds in the page stays there."""
    await browser.until(f"Boolean({expression})", limit_s)


async def log_in(browser: Tab, password: str) -> None:
    await browser.value("write('input[name=email]', 'student@example.com')")
    await browser.value(f"write('input[name=password]', '{password}')")
    await browser.value("document.querySelector('form').requestSubmit()")


async def ask(browser: Tab, question: str) -> None:
    await seen(browser, "document.querySelector('form textarea:enabled')")
    await browser.value(f"write('form textarea', '{question}')")
    await seen(browser, "!named('Send').disabled")
    await browser.value("document.querySelector('form').requestSubmit()")


async def sessions(engine: Running) -> list[str]:
    async with engine.http() as http:
        return [session["session_id"] for session in (await http.get("/v1/sessions")).json()]


async def test_a_wrong_password_is_told(tmp_path: Path, dist: Path) -> None:
    with school(tmp_path, dist) as (_, url):
        async with tab(tmp_path / "profile", "--lang=en") as browser:
            await browser.call("Page.enable")
            await browser.call("Page.addScriptToEvaluateOnNewDocument", source=HANDS)
            await browser.call("Page.navigate", url=f"{url}/lesson/2")
            await seen(browser, "location.pathname === '/login' && named('Log in')")
            await log_in(browser, "wrong")
            await seen(browser, "document.querySelector('form [role=alert]')?.innerText")
            await log_in(browser, "student123")
            await seen(browser, "location.pathname === '/lesson/2' && named('Begin the lesson')")


async def test_a_lesson_over_the_socket_goes_on_after_a_reload(tmp_path: Path, dist: Path) -> None:
    with school(tmp_path, dist) as (engine, url):
        async with pupil(tmp_path, url, NO_WEBRTC) as browser:
            await ask(browser, "Hello?")
            await seen(browser, "said().length === 2 && said()[1][0] === 'whole'")
            assert await browser.value("said()") == [["whole", "You: Hello?"], ["whole", ANSWER]]
            assert await browser.value("link()") == "socket"
            begun = await sessions(engine)

            await browser.call("Page.reload")
            await seen(browser, "window.named && named('Begin the lesson')")
            await browser.value("named('Begin the lesson').click()")
            await seen(browser, "said().length === 2")
            assert await sessions(engine) == begun

            await browser.value("named('End the lesson').click()")
            await seen(browser, "location.pathname === '/'")
            assert await sessions(engine) == []
            assert browser.complaints == []


async def test_what_was_heard_is_left_of_an_interrupted_answer(tmp_path: Path, dist: Path) -> None:
    slow = {"think": lambda tutor: StubLlm(LONG, gap_s=0.02), "speak": StubTts(piece_seconds=0.5)}
    with school(tmp_path, dist, **slow) as (_, url):
        async with pupil(tmp_path, url, NO_WEBRTC) as browser:
            await ask(browser, "Tell me everything.")
            await seen(browser, "document.querySelector('[aria-live=polite]')?.innerText")
            await seen(browser, "!named('Stop the tutor').disabled")
            await browser.value("named('Stop the tutor').click()")
            await seen(browser, "named('Stop the tutor').disabled && said().at(-1)[0] !== 'open'")
            left = await browser.value("said().map(one => one[1]).join()")
            assert LONG[-1].strip() not in left
            assert browser.complaints == []


async def test_a_lesson_that_was_ended_is_told_and_another_begins_when_it_is_wanted(
    tmp_path: Path, dist: Path
) -> None:
    with school(tmp_path, dist) as (engine, url):
        async with pupil(tmp_path, url, NO_WEBRTC) as browser:
            await seen(browser, "link() === 'socket'")
            [before] = await sessions(engine)
            async with engine.http() as http:
                await http.delete(f"/v1/sessions/{before}")
            over = "document.querySelector('[role=alert]').innerText.includes('lesson has ended')"
            await seen(browser, f"!link() && {over} && named('Begin the lesson')")
            assert await sessions(engine) == []
            await browser.value("named('Begin the lesson').click()")
            await ask(browser, "Are you there?")
            await seen(browser, f"said().some(one => one[1].includes('{ANSWER}'))")
            [after] = await sessions(engine)
            assert after != before
            assert not await browser.value(over), "it is no longer so"


async def test_a_tutor_is_seen_live(tmp_path: Path, dist: Path) -> None:
    engines = {
        "hear": SphinxAsr(),
        "think": lambda tutor: StubLlm(LONG[:2]),
        "speak": EspeakTts(),
        "show": VisemeAvatar(),
        "backdrop": portrait,
    }
    with school(tmp_path, dist, **engines) as (_, url):
        async with pupil(tmp_path, url) as browser:
            await seen(browser, "link() === 'live'", limit_s=60)
            await seen(browser, "document.querySelector('video').videoWidth === 512")
            await ask(browser, "Who are you?")
            caption = "document.querySelector('section [aria-live=polite]').innerText"
            await seen(browser, f"{caption}.includes('Sentence number')")
            await seen(browser, "said().at(-1)[0] === 'whole'")
            assert browser.complaints == []
