"""The engine is killed in the middle of a lesson and comes back: the page says so, and goes on by
itself where it was."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engines.stub import StubLlm, StubTts
from serve_app.services import Engines
from tests.browser.chromium import Tab
from tests.browser.test_lesson_page import NO_WEBRTC, ask, dist, pupil, seen, sessions
from tests.endurance import gateway as gateway_module
from tests.endurance.gateway import Apart, apart
from tests.running import free_port, stub_engines
from tests.web_server.schools import Site, open_site, settings_for
from web_server import go_between
from web_server.demo import STUDENT

__all__ = ["dist"]  # a fixture: the page is built

LONG = "tests.browser.test_lesson_outage:long_winded"
SHORT = "tests.running:stub_engines"
ANSWER = "This is the answer of the stub."

WAYS = {"live": "", "socket": NO_WEBRTC}


def long_winded() -> Engines:
    """An answer of a minute, so that its middle cannot be missed."""
    words = tuple(f"Sentence number {number} is here. " for number in range(600))
    return stub_engines(
        think=lambda tutor: StubLlm(words, gap_s=0.1), speak=StubTts(piece_seconds=0.5)
    )


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """That of the engine, whenever it starts."""
    port = free_port()
    monkeypatch.setattr(gateway_module, "free_port", lambda: port)
    monkeypatch.setattr(go_between, "LONGEST_PAUSE_S", 0.6)
    return port


@contextmanager
def engine_of(home: Path, engines: str) -> Iterator[Apart]:
    """A gateway in a process of its own, which the test may kill."""
    with suppress(BrokenPipeError), apart(home, engines) as gateway:
        yield gateway


async def kept(site: Site) -> list[str]:
    """The questions of the student's only conversation."""
    async with site.http(await site.token(STUDENT.email, STUDENT.password)) as http:
        [lesson] = (await http.get("/api/student/conversations")).raise_for_status().json()
        answer = await http.get(f"/api/student/conversations/{lesson['id']}/messages")
    return [one["content"] for one in answer.raise_for_status().json() if one["role"] == "user"]


QUESTIONS = ["Tell me everything.", "Are you there?", "And now?"]
ANSWERED = f"said().at(-1).join() === 'whole,{ANSWER}'"
ASKED = "said().map(one => one[1]).filter(one => one.startsWith('You:'))"
AWAY = """
[...document.querySelectorAll('[role=alert]')]
  .some(one => one.innerText.includes('The tutor is away'))
"""


@pytest.mark.parametrize("link", WAYS)
async def test_a_killed_engine_is_told_and_the_lesson_goes_on(
    tmp_path: Path, dist: Path, port: int, link: str
) -> None:
    settings = settings_for(
        tmp_path, f"http://127.0.0.1:{port}", demo_accounts=True, frontend_dist=dist
    )
    with open_site(settings) as site, engine_of(tmp_path, LONG) as first:
        async with pupil(tmp_path, site.url, WAYS[link]) as browser:
            await seen(browser, f"link() === '{link}'", limit_s=60)
            await ask(browser, QUESTIONS[0])
            await seen(browser, "said().at(-1)[0] === 'open'")
            begun = await sessions(first.running)

            os.kill(first.pid, signal.SIGKILL)
            await told(browser)
            with engine_of(tmp_path, SHORT) as second:
                await going_on(browser, link)
                assert await sessions(second.running) == begun
                assert await kept(site) == QUESTIONS


async def told(browser: Tab) -> None:
    """That nobody is there; and another question is asked."""
    await seen(browser, f"link() === 'reconnecting' && {AWAY}")
    assert await browser.value("said().at(-1)[0]") == "cut", "no answer stays half"
    await ask(browser, QUESTIONS[1])
    await seen(browser, "said().at(-1)[0] === 'waiting'")


async def going_on(browser: Tab, link: str) -> None:
    """What waited is answered without anybody's doing, and what is asked then as well."""
    await seen(browser, ANSWERED, limit_s=60)
    await seen(browser, f"link() === '{link}' && !({AWAY})", limit_s=60)
    await ask(browser, QUESTIONS[2])
    await seen(browser, f"{ASKED}.length === {len(QUESTIONS)} && {ANSWERED}")
    assert await browser.value(ASKED) == [f"You: {question}" for question in QUESTIONS]
    assert await browser.value("said().every(one => ['whole', 'cut'].includes(one[0]))")
