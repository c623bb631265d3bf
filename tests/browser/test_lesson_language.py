"""The page in Chinese: every word that is shown or read aloud, but for names."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.stub import StubLlm
from serve_app.settings import Settings
from tests.browser.chromium import Tab, tab
from tests.browser.test_admin_page import MORE_HANDS, press
from tests.browser.test_lesson_page import HANDS, NO_WEBRTC, dist, seen
from tests.engines.knowledge.test_ingest import quick, shop_at
from tests.running import plain, stub_engines
from tests.web_server.schools import PASSWORD, People, Site, move_in, open_site, settings_for

__all__ = ["dist", "quick"]  # fixtures

CHINESE, ENGLISH = "zh-CN", "en"
TUTOR, BASE, DOCUMENT = "小云老师", "天气课", "雨.md"

OF_PEOPLE = {"Ann", "Ada", "ann@school.example", "ada@school.example", "name@school.example"}
OF_FACES_AND_VOICES = {"anna", "david", "mei", "tone", "stub"}
DOCUMENTS = {"PDF", "DOCX", "PPTX", "Markdown", "HTML", "TXT", "CSV"}
PICTURES = {"JPEG", "PNG", "WebP", "MP4", "MOV", "WebM", "MKV", "MB"}
OF_THINGS = {"English", "Esc", "Ray", "md"}
NAMES = OF_PEOPLE | OF_FACES_AND_VOICES | DOCUMENTS | PICTURES | OF_THINGS
"""What has no Chinese, or is somebody's own."""

LANGUAGE = "document.documentElement.lang"

PLACE_OF_A_NAME = "{name}"
"""As it is to be written into a tutor's instructions, in any language."""

LATIN = re.compile(r"[A-Za-z][A-Za-z0-9_.@'-]*[A-Za-z0-9]")
"""A word of two letters or more, an address, or a key such as `lesson.end`."""

# Whether a list shows this entry; until it is loaded, it knows no name for it.
CHOSEN = """
window.chosen = (text) => [...document.querySelectorAll('input')].some(one => one.value === text);
"""

# Also what only a screen reader says, and what a field or a picture is called by.
WORDS = """
(() => {
  const words = [document.title];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { parentElement, data } = walk.currentNode;
    if (!parentElement.closest('script, style, noscript') && data.trim()) words.push(data.trim());
  }
  for (const name of ['aria-label', 'aria-valuetext', 'placeholder', 'title', 'alt'])
    for (const one of document.querySelectorAll(`[${name}]`))
      if (!one.closest('[aria-hidden=true]')) words.push(one.getAttribute(name));
  return words;
})()
"""


def foreign(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Words that are neither Chinese nor names, and where they are."""
    for text in words:
        for word in LATIN.findall(text.replace(PLACE_OF_A_NAME, "")):
            if word not in NAMES:
                yield word, text


async def judged(browser: Tab, page: str) -> None:
    """As it stands there."""
    words = await browser.value(WORDS)
    found = list(foreign(words))
    assert not found, f"{page}: {found}"
    assert re.search(r"[\u4e00-\u9fff]", "".join(words)), page
    assert await browser.value(LANGUAGE) == CHINESE, page


@asynccontextmanager
async def school(home: Path, dist: Path) -> AsyncIterator[tuple[Site, People]]:
    """A school whose own names are Chinese: a tutor with a course, who says something Chinese."""
    shop = shop_at(home / "knowledge")
    engines = stub_engines(
        think=lambda tutor: StubLlm(("你好，", "我是老师。")),
        bases=shop.catalogue,
        knowledge=shop.catalogue,
    )
    async with shop.working():
        with plain(Settings(tutor_home=home), engines) as engine:
            settings = settings_for(home, engine.url, frontend_dist=dist)
            people = await move_in(settings)
            with open_site(settings) as site:
                yield site, people


async def furnish(site: Site, people: People) -> tuple[int, str]:
    """The tutor's id, and that of the course."""
    async with site.as_(people.ada) as http:
        base = await http.post("/api/admin/knowledge", json={"name": BASE})
        kb_id = str(base.raise_for_status().json()["kb_id"])
        at, content = f"/api/admin/knowledge/{kb_id}/documents", "# 雨\n\n雨从云里落下来。"
        given = await http.post(at, params={"name": DOCUMENT}, content=content.encode())
        given.raise_for_status()
        wish = {
            "name": TUTOR,
            "subject": "天气",
            "description": "讲天气和水循环。",
            "language": "zh",
            "face": "mei",
            "kb_id": kb_id,
            "published": True,
        }
        made = await http.post("/api/admin/tutors", json=wish)
        return int(made.raise_for_status().json()["id"]), kb_id


@asynccontextmanager
async def browser_in(language: str, home: Path, url: str) -> AsyncIterator[Tab]:
    """At the login, in a browser whose user prefers this language."""
    flags = (f"--lang={language}", f"--accept-lang={language}", "--window-size=1280,900")
    async with tab(home / "profile", *flags) as browser:
        for domain in ("Runtime", "Log", "Page"):
            await browser.call(f"{domain}.enable")
        await browser.call(
            "Page.addScriptToEvaluateOnNewDocument", source=HANDS + MORE_HANDS + CHOSEN + NO_WEBRTC
        )
        await browser.call("Page.navigate", url=url)
        await seen(browser, "location.pathname === '/login' && document.querySelector('form')")
        yield browser


async def log_in(browser: Tab, email: str, password: str = PASSWORD) -> None:
    await browser.value(f"write('input[name=email]', '{email}')")
    await browser.value(f"write('input[name=password]', '{password}')")
    await browser.value("document.querySelector('form').requestSubmit()")


async def entered(browser: Tab, email: str) -> None:
    await log_in(browser, email)
    await seen(browser, "location.pathname !== '/login'")


async def open_page(browser: Tab, url: str, there: str) -> None:
    await browser.call("Page.navigate", url=url)
    await seen(browser, f"window.shown && location.href === '{url}' && {there}")


async def test_a_student_reads_nothing_but_chinese(tmp_path: Path, dist: Path) -> None:
    async with school(tmp_path, dist) as (site, people):
        await furnish(site, people)
        async with browser_in(CHINESE, tmp_path, site.url) as browser:
            await judged(browser, "the login")
            await browser.value("document.querySelector('form').requestSubmit()")
            await seen(browser, "shown('请输入邮箱。') && shown('请输入密码。')")
            await judged(browser, "an empty login")
            await log_in(browser, people.ann, "wrong")
            await seen(browser, "document.querySelector('form [role=alert]')")
            await judged(browser, "a wrong login")
            await log_in(browser, people.ann, "l" * 201)
            await seen(browser, "shown('密码：最多只能有 200 个字符')")  # the web server's words
            await judged(browser, "a login that cannot be")
            for language, alerts in (("en", 0), ("zh", 1)):  # they are not in English
                await browser.value(f"document.querySelector('input[value={language}]').click()")
                there = "document.querySelectorAll('form [role=alert]').length"
                await seen(browser, f"{LANGUAGE}.startsWith('{language}') && {there} === {alerts}")

            await entered(browser, people.ann)
            await seen(browser, f"named('跟{TUTOR}上课')")
            await judged(browser, "the tutors")
            await press(browser, "named('账户与设置')")
            await seen(browser, "option('退出登录')")
            await judged(browser, "the menu")


async def test_nor_in_a_lesson_and_after_it(tmp_path: Path, dist: Path) -> None:
    async with school(tmp_path, dist) as (site, people):
        tutor, _ = await furnish(site, people)
        async with browser_in(CHINESE, tmp_path, site.url) as browser:
            await entered(browser, people.ann)
            await open_page(browser, f"{site.url}/lesson/{tutor}", "named('开始上课')")
            await judged(browser, "before the lesson")
            await browser.value("named('开始上课').click()")
            await seen(browser, "document.querySelector('form textarea:enabled')")
            await browser.value("write('form textarea', '你好？')")
            await seen(browser, "named('发送')?.disabled === false")
            await browser.value("document.querySelector('form').requestSubmit()")
            await seen(browser, "said().length === 2 && said()[1][0] === 'whole'")
            await seen(browser, "document.querySelector('[data-link=socket]')")
            await press(browser, "named('选择麦克风')")
            await seen(browser, "option('默认麦克风')")
            await judged(browser, "the lesson")

            await open_page(browser, f"{site.url}/history", f"shown('和{TUTOR}')")
            await judged(browser, "the history")
            await press(browser, "document.querySelector('main a[href^=\"/history/\"]')")
            await seen(browser, "said().length === 2")
            await judged(browser, "a past lesson")
            await open_page(browser, f"{site.url}/account", "named('修改密码')")
            await judged(browser, "the account")
            await open_page(browser, f"{site.url}/nowhere", "shown('这里什么也没有')")
            await judged(browser, "nowhere")


DIALOGS = {"students": "添加学生", "knowledge": "新建知识库", "faces": "新建形象"}


async def test_an_administrator_reads_nothing_but_chinese(tmp_path: Path, dist: Path) -> None:
    async with school(tmp_path, dist) as (site, people):
        tutor, base = await furnish(site, people)
        async with site.as_(people.ann) as http:
            wish = {"tutor_id": tutor}
            (await http.post("/api/student/sessions", json=wish)).raise_for_status()
        pages = {
            "tutors": f"named('{TUTOR}')",
            "tutors/new": "named('保存')",
            f"tutors/{tutor}": f"named('删除') && chosen('{BASE}')",
            "students": "shown('ann@school.example')",
            "knowledge": f"shown('{BASE}') && shown('1 个文档')",
            f"knowledge/{base}": f"shown('{DOCUMENT}') && shown('就绪')",
            "faces": "document.querySelectorAll('main li img').length === 3",
            "lessons": "named('结束')",
            "engine": "document.querySelectorAll('main li [data-tone=good]').length === 5",
        }
        async with browser_in(CHINESE, tmp_path, site.url) as browser:
            await entered(browser, people.ada)
            for page, there in pages.items():
                await open_page(browser, f"{site.url}/admin/{page}", there)
                await judged(browser, page)
                if page in DIALOGS:
                    await press(browser, f"named('{DIALOGS[page]}')")
                    await seen(browser, "dialog()?.querySelector('input, button')")
                    await judged(browser, f"{page}, its dialog")
            await open_page(browser, f"{site.url}/admin/students", pages["students"])
            await add_once_more(browser, people.ann)
            await judged(browser, "an account that there is already")
            page = f"tutors/{tutor}"
            await open_page(browser, f"{site.url}/admin/{page}", pages[page])
            await press(browser, "named('删除')")
            await seen(browser, f"dialog()?.innerText.includes('删除{TUTOR}？')")
            await judged(browser, "a question before something is deleted")


async def add_once_more(browser: Tab, email: str) -> None:
    """Which the web server refuses."""
    await press(browser, "named('添加学生')")
    await seen(browser, "dialog()?.querySelector('input[name=password]')")
    for field, text in (("name", "Ann"), ("email", email), ("password", PASSWORD)):
        await browser.value(f"write('[role=dialog] input[name={field}]', '{text}')")
    await press(browser, "inDialog('添加学生')")
    await seen(browser, f"dialog()?.innerText.includes('已经有使用 {email} 的账户了。')")


async def test_ones_own_language_goes_before_the_browsers(tmp_path: Path, dist: Path) -> None:
    """And the judge sees what is not Chinese."""
    async with school(tmp_path, dist) as (site, people):
        await furnish(site, people)
        async with site.as_(people.ann) as http:
            (await http.patch("/api/me", json={"language": "zh"})).raise_for_status()
        async with browser_in(ENGLISH, tmp_path, site.url) as browser:
            with pytest.raises(AssertionError, match="Log in"):
                await judged(browser, "the login in English")
            await entered(browser, people.ann)
            await seen(browser, f"named('跟{TUTOR}上课')")
            await judged(browser, "the tutors")
            for slip in ("lesson.end", "Try again"):
                await browser.value(f"document.querySelector('h1').ariaLabel = '{slip}'")
                with pytest.raises(AssertionError, match=slip.split()[0]):
                    await judged(browser, "the tutors with a slip")
