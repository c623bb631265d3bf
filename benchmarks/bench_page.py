"""How fast the built page is there: its first contentful paint in Chromium (its name, before its
styles and scripts have come), when all of it is there, and its JavaScript.

The real web server serves the page as it is built, beside one with a single word in it, the
control: what that costs is the browser's own. Each load has a new browser context, so nothing of an
earlier one is cached; the three pages take turns, in another order each round.
"""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from websockets.asyncio.client import connect

from benchmarks.measure import median, report
from serve_app.services import Engines
from tests.browser.chromium import Page, Tab, page
from tests.endurance.gateway import apart
from tests.running import PROJECT, stub_engines
from tests.web_server.schools import Site, open_site, settings_for
from web_server.demo import STUDENT

DIST = PROJECT / "frontend/dist"
ROUNDS = 9
WARM_UP = 1

CONTROL = "<!doctype html><html lang=en><meta charset=utf-8><title>Control</title><p>Word</p>"
"""Without any content there would be no contentful paint."""

FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"

ALL_THERE = """
(function look() {
  if (%s) performance.mark('there');
  else requestAnimationFrame(look);
})();
"""

WHEN_THERE = "performance.getEntriesByName('there')[0]?.startTime"

SCRIPTS = """
performance.getEntriesByType('resource')
  .filter((one) => new URL(one.name).pathname.endsWith('.js'))
  .reduce(([sent, whole], one) => [sent + one.encodedBodySize, whole + one.decodedBodySize], [0, 0])
"""

LOGGED_IN = """
if (location.protocol === 'http:') localStorage.setItem('tutor.login', JSON.stringify({
  token: '%s', fromMs: Date.now(), untilMs: Date.now() + 1_800_000 }));
"""


@dataclass
class Figures:
    """Of one page, an entry for each load."""

    name: str
    path: str
    there: str
    """What is true in the page when all of it is there."""
    script: str = ""
    """To run before those of the page."""
    first_ms: list[float] = field(default_factory=list)
    there_ms: list[float] = field(default_factory=list)
    scripts_bytes: list[tuple[int, int]] = field(default_factory=list)
    """As sent, and unpacked."""


def pages(token: str) -> tuple[Figures, ...]:
    return (
        Figures("control", "/control.html", "document.querySelector('p')"),
        Figures("login", "/login", "document.querySelector('input[name=password]')"),
        Figures(
            "choice",
            "/",
            "(faces => faces.length >= 3 && faces.every(one => one.naturalWidth > 0))"
            "([...document.querySelectorAll('main img')])",
            LOGGED_IN % token,
        ),
    )


def engines() -> Engines:
    return stub_engines()


@contextmanager
def school() -> Iterator[Site]:
    """The web server with the demo's people and tutors, and the page of the control."""
    with (
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        apart(Path(folder), "benchmarks.bench_page:engines") as gateway,
    ):
        home = Path(folder)
        dist = Path(shutil.copytree(DIST, home / "dist"))
        (dist / "control.html").write_text(CONTROL)
        url = gateway.running.url
        with open_site(settings_for(home, url, demo_accounts=True, frontend_dist=dist)) as site:
            yield site


@asynccontextmanager
async def fresh_tab(browser: Page) -> AsyncIterator[Tab]:
    """In a browser context of its own: empty caches, and no storage."""
    port = browser.socket.remote_address[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        whole: str = (await http.get("/json/version")).json()["webSocketDebuggerUrl"]
    async with connect(whole, max_size=None) as socket:
        chromium = Tab(socket)
        context: dict[str, Any] = await chromium.call("Target.createBrowserContext")
        target = await chromium.call("Target.createTarget", url="about:blank", **context)
        url = f"ws://127.0.0.1:{port}/devtools/page/{target['targetId']}"
        async with connect(url, max_size=None) as own:
            yield Tab(own)
        await chromium.call("Target.disposeBrowserContext", **context)


async def load(tab: Tab, url: str, figures: Figures) -> None:
    await tab.call("Page.enable")
    await tab.call("Page.addScriptToEvaluateOnNewDocument", source=figures.script)
    whole = ALL_THERE % figures.there
    await tab.call("Page.addScriptToEvaluateOnNewDocument", source=whole)
    await tab.call("Page.navigate", url=f"{url}{figures.path}")
    await tab.until(f"Boolean(({FIRST_PAINT}) && ({WHEN_THERE}))")
    figures.first_ms.append(await tab.value(FIRST_PAINT))
    figures.there_ms.append(await tab.value(WHEN_THERE))
    sent, unpacked = await tab.value(SCRIPTS)
    figures.scripts_bytes.append((sent, unpacked))


async def measure(site: Site) -> tuple[Figures, ...]:
    all_pages = pages(await site.token(STUDENT.email, STUDENT.password))
    with TemporaryDirectory(prefix="tutor-bench-") as profile:
        async with page(Path(profile), "--lang=en") as browser:
            for _ in range(WARM_UP + ROUNDS):
                for figures in random.sample(all_pages, len(all_pages)):
                    async with fresh_tab(browser) as tab:
                        await load(tab, site.url, figures)
    return all_pages


def told(control: Figures, figures: Figures) -> None:
    empty_ms = median(control.first_ms[WARM_UP:])
    first_ms = median(figures.first_ms[WARM_UP:])
    there_ms = median(figures.there_ms[WARM_UP:])
    name = f"page_{figures.name}"
    report(f"{name}_first_paint", first_ms, "ms", control=empty_ms, goal="< 1500, ratio ≤ 3")
    report(f"{name}_all_there", there_ms, "ms", control=empty_ms, goal="none")
    sent, whole = max(figures.scripts_bytes)
    report(f"{name}_scripts_gzipped", sent / 1000, "kB", control=whole / 1000, goal="≤ 250")


def main() -> None:
    if not (DIST / "index.html").is_file():
        raise SystemExit("The page is not built: make page")
    with school() as site:
        control, *built = asyncio.run(measure(site))
    for figures in built:
        told(control, figures)


if __name__ == "__main__":
    main()
