"""The page at `/demo` and the sample course: chosen at once, asked, and quoted below the answer."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from engines.knowledge.base import Found, Passage
from engines.knowledge.listing import Base
from engines.stub import StubLlm
from serve_app.settings import Settings
from tests.browser.chromium import Tab, tab
from tests.browser.test_demo_page import NoCourses
from tests.running import NoBases, Running, eventually, plain, stub_engines
from tests.weather import weather_gateway

SOURCES = """
[...document.querySelectorAll('.sources')].map(one => ({
  summary: one.querySelector('summary').textContent,
  open: one.open,
  quotes: [...one.querySelectorAll('blockquote')].map(quote => quote.textContent),
  places: [...one.querySelectorAll('figcaption')].map(place => place.textContent),
}))
"""
CHOICES = "[...document.querySelector('#course').options].map(one => one.value)"
CHOICE = "document.querySelector('#course').value"
ROW_IS_HIDDEN = "document.querySelector('#course-row').hidden"
SAID = "[...document.querySelectorAll('.log li p')].map(one => one.textContent)"


class Shelf(NoBases):
    """One base, in which everything is found."""

    def __init__(self, *found: Found) -> None:
        self._found = found

    async def bases(self) -> list[Base]:
        return [Base("physics/7", 1, 1, None)]

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
        return list(self._found)


def found(text: str, name: str, page: int | None = None) -> Found:
    return Found("physics/7", name, Passage(text, page, "", 0), 0.9)


async def write(browser: Tab, question: str) -> None:
    """As a learner does it, and until it is answered."""
    answers = await browser.value("tutor.messages.length") + 2
    await browser.value(
        f"document.querySelector('#text').value = {question!r};"
        "document.querySelector('#send').click()"
    )
    await browser.until(f"tutor.messages.length === {answers} && tutor.state === 'idle'")


async def choose(browser: Tab, kb_id: str) -> None:
    await browser.value(
        f"document.querySelector('#course').value = {kb_id!r};"
        "document.querySelector('#course').dispatchEvent(new Event('change'))"
    )


def sessions(engine: Running) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = httpx.get(f"{engine.url}/v1/sessions").json()
    return listed


async def test_the_sample_course_is_chosen_asked_and_quoted(tmp_path: Path) -> None:
    with weather_gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1")
            await browser.until(f"!{ROW_IS_HIDDEN}")
            assert await browser.value(CHOICES) == ["", "weather"], "no empty base"
            assert await browser.value(CHOICE) == "weather"
            await browser.value("document.querySelector('#start').click()")
            await browser.until("tutor.connected")
            assert [session["kb_id"] for session in sessions(engine)] == ["weather"]
            examples = "[...document.querySelectorAll('.empty button')]"
            first = await browser.value(f"{examples}[0].textContent")

            await write(browser, first)
            (source,) = await browser.value(SOURCES)
            assert (source["summary"], source["open"]) == ("Source weather.md", False)
            assert source["places"] == ["weather.md"]
            assert source["quotes"][0] in (await browser.value(SAID))[1]

            await browser.value("document.querySelector('.sources summary').click()")
            shown = "document.querySelector('.sources blockquote').getBoundingClientRect().height"
            assert await browser.value(shown) > 0

            await write(browser, "雾是怎么形成的？")
            assert (await browser.value(SOURCES))[1]["places"] == ["天气.md"]
            await write(browser, "Who was Napoleon?")
            assert len(await browser.value(SOURCES)) == 2, "none below what is not in the course"
            assert browser.complaints == []


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_each_example_of_the_sample_course_is_answered_from_it(
    tmp_path: Path, language: str
) -> None:
    with weather_gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1")
            if language == "zh":
                await browser.value("document.querySelector('#language').click()")
            await browser.until("tutor.connected && tutor.course === 'weather'")
            buttons = "[...document.querySelectorAll('.empty button')].map(one => one.textContent)"
            examples = await browser.value(buttons)
            assert len(examples) == 3
            for number, example in enumerate(examples, 1):
                await write(browser, example)
                assert len(await browser.value(SOURCES)) == number, example


async def test_another_course_begins_another_conversation(tmp_path: Path) -> None:
    with weather_gateway(tmp_path) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1")
            await browser.until("tutor.connected && tutor.course === 'weather'")
            await write(browser, "What is fog?")
            before = await browser.value("tutor.sessionId")

            await choose(browser, "")
            await browser.until(f"tutor.sessionId && tutor.sessionId !== '{before}'")
            assert await browser.value("tutor.messages") == []
            await write(browser, "What is fog?")
            assert "no language model" in (await browser.value(SAID))[1]
            assert await browser.value(SOURCES) == []
            await eventually(lambda: len(sessions(engine)) == 1)
            (left,) = sessions(engine)
            assert (left["kb_id"], left["session_id"] == before) == (None, False)

            await choose(browser, "weather")
            await write(browser, "What is fog?")
            assert len(await browser.value(SOURCES)) == 1
            assert await browser.value("tutor.connected"), "the socket was kept"
            told = await browser.value("tutor.errors.map(error => error.code)")
            assert "session_ended" not in told
            assert browser.complaints == []


async def test_an_answer_that_is_left_for_another_course_is_silent(tmp_path: Path) -> None:
    slow = StubLlm(tuple(f"Sentence {number}. " for number in range(60)), gap_s=0.02)
    engines = stub_engines(think=lambda tutor: slow, bases=Shelf(), knowledge=Shelf())
    with plain(Settings(tutor_home=tmp_path), engines) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1")
            await browser.until("tutor.connected && tutor.courses.length === 1")
            assert await browser.value("tutor.course") is None, (
                "only the sample course chooses itself"
            )
            await browser.value("tutor.say('Tell me everything.')")
            await browser.until("tutor.state === 'speaking' && tutor.messages.length === 2")
            await choose(browser, "physics/7")
            await browser.until("tutor.state === 'idle' && tutor.voiceLevel < 0.01")
            assert await browser.value("tutor.messages") == []
            await browser.value("tutor.say('And now?')")
            await browser.until("tutor.state === 'speaking' && tutor.voiceLevel > 0.01")
            assert (await browser.value("tutor.messages"))[0]["text"] == "And now?"


async def test_pages_are_named_in_both_languages_and_nothing_of_a_document_is_markup(
    tmp_path: Path,
) -> None:
    evil = "<img src=x onerror=window.owned=1> Water boils at 100 degrees."
    shelf = Shelf(found(evil, "<b>book</b>.pdf", 7), found("Ice melts at 0 degrees.", "ice.md"))
    cites = StubLlm(("So it is [1, 2].",))
    engines = stub_engines(think=lambda tutor: cites, bases=shelf, knowledge=shelf)
    with plain(Settings(tutor_home=tmp_path), engines) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1")
            await browser.until("tutor.connected && tutor.courses.length === 1")
            await choose(browser, "physics/7")
            await browser.until("tutor.sessionId !== null")
            await write(browser, "When does water boil?")
            (source,) = await browser.value(SOURCES)
            assert source["summary"] == "Sources <b>book</b>.pdf, ice.md"
            assert source["places"] == ["<b>book</b>.pdf · page 7", "ice.md"]
            await browser.value("document.querySelector('#language').click()")
            (source,) = await browser.value(SOURCES)
            assert source["summary"] == "来源 <b>book</b>.pdf, ice.md"
            assert source["places"][0] == "<b>book</b>.pdf · 第 7 页"
            assert await browser.value("document.querySelector('.log img, .log b')") is None
            assert await browser.value("window.owned") is None


@pytest.mark.parametrize("bases", ["empty", "absent"])
async def test_without_courses_there_is_nothing_to_choose(tmp_path: Path, bases: str) -> None:
    engines = stub_engines(bases=NoCourses() if bases == "empty" else NoBases())
    with plain(Settings(tutor_home=tmp_path), engines) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1&autostart=1")
            await browser.until("tutor.connected")
            assert await browser.value(ROW_IS_HIDDEN)
            await write(browser, "Hello?")
            assert [session["kb_id"] for session in sessions(engine)] == [None]


async def test_with_a_key_the_course_is_chosen_as_soon_as_it_is_given(tmp_path: Path) -> None:
    key = SecretStr("a-secret-key-for-the-test")
    with weather_gateway(tmp_path, engine_api_key=key) as engine:
        async with tab(tmp_path / "profile") as browser:
            await browser.open(f"{engine.url}/demo?relay=1")
            await browser.value("document.querySelector('#start').click()")
            await browser.until("!document.querySelector('#key-row').hidden")
            assert await browser.value(ROW_IS_HIDDEN)
            await browser.value(
                "document.querySelector('#key').value = 'a-secret-key-for-the-test';"
                "document.querySelector('#start').click()"
            )
            await browser.until("tutor.connected")
            assert await browser.value("tutor.course") == "weather"
            await write(browser, "What is fog?")
            assert len(await browser.value(SOURCES)) == 1
