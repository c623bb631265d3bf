"""The whole system: what a student and whoever runs it see of it. The tests use one house, in this
order; the last one takes it down."""

import asyncio
import base64
import signal
from pathlib import Path

import psutil
import pytest

from cli.ending import Round, end
from tests.browser.chromium import tab
from tests.browser.test_lesson_page import HANDS, ask, dist, log_in, seen
from tests.cli.test_up_cluster import fine
from tests.processes import lives
from tests.running import eventually
from tests.system.conftest import BACK_LIMIT_S, House, seconds_of
from web_server.demo import STUDENT

__all__ = ["dist"]  # a fixture: the page is built

pytestmark = pytest.mark.cluster

LIVE_LIMIT_S = 90.0


async def test_the_page_is_served_with_two_tutors_who_know_the_course(
    house: House, dist: Path
) -> None:
    async with house.http() as http:
        page = await http.get("/lesson/2")
        assert page.text == (dist / "index.html").read_text()
        assert "script-src 'self'" in page.headers["content-security-policy"]
    async with house.logged_in(STUDENT) as (http, login):
        assert login["user"]["role"] == "student"
        cards = (await http.get("/api/student/tutors")).json()
        assert {card["language"] for card in cards} == {"zh", "en"}
        assert all(card["has_course"] for card in cards)


@pytest.mark.parametrize(
    ("tutor_id", "question"), [(1, "空气里有多少氮气？"), (2, "How much nitrogen is in the air?")]
)
async def test_a_question_over_the_proxy_is_answered_with_voice(
    house: House, tutor_id: int, question: str
) -> None:
    await house.course_is_read()
    async with house.lesson(tutor_id) as lesson:
        answer = await lesson.ask(question)
    assert answer["type"] == "text", answer
    assert "78" in answer["content"]
    assert seconds_of(base64.b64decode(answer["audio"])) > 1


async def test_a_student_learns_in_a_browser(house: House, dist: Path, tmp_path: Path) -> None:
    async with tab(tmp_path / "profile", "--lang=en") as browser:
        for domain in ("Runtime", "Log", "Page"):
            await browser.call(f"{domain}.enable")
        await browser.call("Page.addScriptToEvaluateOnNewDocument", source=HANDS)
        await browser.call("Page.navigate", url=house.url)
        await seen(browser, "location.pathname === '/login' && named('Log in')")
        await log_in(browser, STUDENT.password)
        await seen(browser, "named('lesson with Anna')")
        await browser.value("named('lesson with Anna').click()")
        await seen(browser, "named('Begin the lesson')")
        await browser.value("named('Begin the lesson').click()")
        await seen(browser, "link() === 'live'", LIVE_LIMIT_S)
        await ask(browser, "How much nitrogen is in the air?")
        await seen(browser, "said().length === 2 && said()[1][0] === 'whole'", LIVE_LIMIT_S)
        assert "78" in (await browser.value("said()"))[1][1]
        await browser.value("named('End the lesson').click()")
        await seen(browser, "location.pathname === '/'")
        assert browser.complaints == []


async def test_a_web_server_that_was_killed_is_back(house: House) -> None:
    before = (await asyncio.to_thread(house.status))["web"]
    psutil.Process(before["pid"]).kill()
    await eventually(lambda: not psutil.pid_exists(before["pid"]), BACK_LIMIT_S)
    await house.is_back()
    after = (await asyncio.to_thread(house.status))["web"]
    assert after["starts"] == before["starts"] + 1
    assert "SIGKILL" in after["reason"]
    async with house.lesson(2) as lesson:
        assert (await lesson.ask("Hello"))["type"] == "text"


async def test_a_lesson_goes_on_when_a_killed_engine_is_started_again(house: House) -> None:
    async with house.lesson(2) as lesson:
        assert (await lesson.ask("Hello"))["type"] == "text"
        record = house.user.files.running()
        assert record is not None
        left = end(record, [Round(signal.SIGKILL, 30.0, everyone=True)])
        assert left == []
        assert fine(await asyncio.to_thread(house.user.types, "up", "--no-open"))
        answer = await lesson.ask_until_answered("Are you there?")
    assert answer["engine_session_id"] == lesson.session_id
    assert answer["audio"]


def test_down_leaves_nothing(house: House) -> None:
    everyone = house.processes()
    assert len(everyone) >= 3, "the engine's leader, the keeper and the web server at least"
    said = fine(house.user.types("down"))
    assert f"The web server at {house.url} has stopped." in said
    assert [process for process in everyone if lives(process)] == []
    assert house.status() == {"running": False}
