"""What a screen reader, a keyboard and weak eyes meet on every page, judged by axe in Chromium, in
light and dark, on a desktop and on a phone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from serve_app.settings import Settings
from tests.browser.chromium import Tab, tab
from tests.browser.test_lesson_page import DIST, HANDS, NO_WEBRTC, ask, dist, seen
from tests.running import plain, stub_engines
from tests.web_server.schools import open_site, settings_for
from web_server.demo import ADMIN, STUDENT, Account

__all__ = ["dist"]  # a fixture: the page is built

AXE = DIST.parent / "node_modules/axe-core/axe.min.js"

SERIOUS = """
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})
  .then(found => found.violations
    .filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => [one.id, one.nodes.map(node => `${node.target}: ${node.any[0]?.message}`)]))
"""
"""Violations of WCAG 2.2 at level AA that keep somebody from using the page."""

TRIES, PAUSE_S = 20, 0.2
"""Colours that are still fading would be judged half way."""

SCHEMES = ("light", "dark")
WIDTHS = {"desktop": 1280, "phone": 390}

STUDENTS = {
    "/": "named('lesson with Anna')",
    "/history": "document.querySelector('main h1, main h2')",
    "/account": "document.querySelector('main h1')",
    "/nowhere": "document.querySelector('main h1, main h2')",
}
ADMINS = {
    "/admin/tutors": "document.querySelector('main a[href^=\"/admin/tutors/\"]')",
    "/admin/tutors/new": "document.querySelector('input[name=subject]')",
    "/admin/students": "document.querySelector('main h1')",
    "/admin/knowledge": "document.querySelector('main h1')",
    "/admin/voices": "document.querySelector('main li button')",
    "/admin/faces": "document.querySelector('main li img')",
    "/admin/lessons": "document.querySelector('main h1')",
    "/admin/engine": "document.querySelector('main h1')",
}
"""Pages, and what is there when they have loaded."""


@asynccontextmanager
async def browser_of(home: Path, dist: Path, account: Account) -> AsyncIterator[tuple[Tab, str]]:
    """Somebody of the demo's who has logged in, and the address of the web server."""
    with plain(Settings(tutor_home=home), stub_engines()) as engine:
        settings = settings_for(home, engine.url, demo_accounts=True, frontend_dist=dist)
        with open_site(settings) as site:
            async with tab(home / "profile", "--lang=en") as browser:
                for domain in ("Runtime", "Log", "Page"):
                    await browser.call(f"{domain}.enable")
                await browser.call(
                    "Page.addScriptToEvaluateOnNewDocument", source=HANDS + NO_WEBRTC
                )
                await browser.call("Page.navigate", url=site.url)
                await seen(browser, "location.pathname === '/login' && window.named?.('Log in')")
                await judged(browser, "/login")
                await browser.value(f"write('input[name=email]', '{account.email}')")
                await browser.value(f"write('input[name=password]', '{account.password}')")
                await browser.value("document.querySelector('form').requestSubmit()")
                await seen(browser, "location.pathname !== '/login'")
                yield browser, site.url


async def judged(browser: Tab, page: str) -> None:
    """Nothing serious, as it stands there."""
    await browser.value(f"{AXE.read_text()};1")
    for scheme in SCHEMES:
        for device, width in WIDTHS.items():
            await browser.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=844,
                deviceScaleFactor=1,
                mobile=device == "phone",
            )
            await browser.call(
                "Emulation.setEmulatedMedia",
                features=[
                    {"name": "prefers-color-scheme", "value": scheme},
                    {"name": "prefers-reduced-motion", "value": "reduce"},
                ],
            )
            await seen(
                browser, f"document.documentElement.dataset.mantineColorScheme === '{scheme}'"
            )
            for _ in range(TRIES):
                if not (found := await browser.value(SERIOUS)):
                    break
                await asyncio.sleep(PAUSE_S)
            assert found == [], (page, scheme, device)


@pytest.mark.parametrize(("account", "pages"), [(STUDENT, STUDENTS), (ADMIN, ADMINS)])
async def test_no_page_has_a_serious_barrier(
    tmp_path: Path, dist: Path, account: Account, pages: dict[str, str]
) -> None:
    async with browser_of(tmp_path, dist, account) as (browser, url):
        for page, there in pages.items():
            await browser.call("Page.navigate", url=f"{url}{page}")
            await seen(browser, f"window.named && location.pathname === '{page}' && {there}")
            await judged(browser, page)


async def test_nor_has_a_lesson(tmp_path: Path, dist: Path) -> None:
    async with browser_of(tmp_path, dist, STUDENT) as (browser, _):
        await seen(browser, "named('lesson with Anna')")
        await browser.value("named('lesson with Anna').click()")
        await seen(browser, "named('Begin the lesson')")
        await judged(browser, "before the lesson")
        await browser.value("named('Begin the lesson').click()")
        await ask(browser, "Hello?")
        await seen(browser, "said().length === 2 && said()[1][0] === 'whole'")
        await judged(browser, "a lesson")


async def test_the_judge_sees_a_barrier(tmp_path: Path, dist: Path) -> None:
    async with browser_of(tmp_path, dist, STUDENT) as (browser, _):
        await seen(browser, "named('lesson with Anna')")
        await browser.value(
            "document.querySelectorAll('img').forEach(one => one.removeAttribute('alt'))"
        )
        await browser.value("document.querySelector('main').append(document.createElement('img'))")
        with pytest.raises(AssertionError, match="image-alt"):
            await judged(browser, "a page without words for its pictures")
