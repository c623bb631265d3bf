"""The administration in a real browser, before a real web server, the gateway with stub engines,
and knowledge that is really read and searched."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from serve_app.settings import Settings
from tests.browser.chromium import Tab, tab
from tests.browser.test_lesson_page import HANDS, dist, seen
from tests.course import FOLDER
from tests.engines.knowledge.test_ingest import quick, shop_at
from tests.running import plain, stub_engines
from tests.web_server.schools import PASSWORD, People, Site, move_in, open_site, settings_for

__all__ = ["dist", "quick"]  # fixtures

MORE_HANDS = """
Object.defineProperty(window, 'tutor', { get: () => document.body?.innerText }); // told on failure
window.dialog = () => document.querySelector('[role=dialog]');
window.inDialog = (text) => [...(dialog()?.querySelectorAll('button') ?? [])]
  .find(one => one.textContent.includes(text));
window.option = (text) => [...document.querySelectorAll('[role=option], [role=menuitem]')]
  .find(one => one.textContent.includes(text));
window.shown = (text) => document.querySelector('main')?.innerText.includes(text);
"""


@dataclass(frozen=True)
class Place:
    """A school's web server, and who has an account there."""

    site: Site
    people: People


@asynccontextmanager
async def school(home: Path, dist: Path) -> AsyncIterator[Place]:
    shop = shop_at(home / "knowledge")
    engines = stub_engines(bases=shop.catalogue, knowledge=shop.catalogue)
    async with shop.working():
        with plain(Settings(tutor_home=home), engines) as engine:
            settings = settings_for(home, engine.url, frontend_dist=dist)
            people = await move_in(settings)
            with open_site(settings) as site:
                yield Place(site, people)


@asynccontextmanager
async def browser_at(home: Path, url: str, email: str) -> AsyncIterator[Tab]:
    """Somebody who has logged in, at this address."""
    async with tab(home / "profile", "--lang=en", "--window-size=1280,900") as browser:
        for domain in ("Runtime", "Log", "Page"):
            await browser.call(f"{domain}.enable")
        await browser.call("Page.addScriptToEvaluateOnNewDocument", source=HANDS + MORE_HANDS)
        await browser.call("Page.navigate", url=url)
        await log_in(browser, email)
        yield browser


async def log_in(browser: Tab, email: str, password: str = PASSWORD) -> None:
    await seen(browser, "location.pathname === '/login' && window.named && named('Log in')")
    await browser.value(f"write('input[name=email]', '{email}')")
    await browser.value(f"write('input[name=password]', '{password}')")
    await browser.value("document.querySelector('form').requestSubmit()")
    await seen(browser, "location.pathname !== '/login'")


async def log_out(browser: Tab) -> None:
    await press(browser, "named('Your account and settings')")
    await press(browser, "option('Log out')")


async def press(browser: Tab, found: str) -> None:
    """As soon as it is there."""
    await seen(browser, found)
    await browser.value(f"{found}.click()")


async def go(browser: Tab, place: str) -> None:
    """By a link of the administration."""
    await press(browser, f"document.querySelector('nav a[href=\"/admin/{place}\"]')")
    await seen(browser, f"location.pathname === '/admin/{place}'")


async def pick(browser: Tab, name: str, text: str) -> None:
    """An entry of a list that opens."""
    await press(browser, f"document.querySelector('input[name={name}]')")
    await press(browser, f"option('{text}')")


async def give(browser: Tab, *files: Path) -> None:
    """Files, as the system's dialog does."""
    await seen(browser, "document.querySelector('input[type=file]')")
    wish = {"expression": "document.querySelector('input[type=file]')"}
    field = await browser.call("Runtime.evaluate", **wish)
    names = [str(file) for file in files]
    await browser.call("DOM.setFileInputFiles", objectId=field["result"]["objectId"], files=names)


async def make_base(browser: Tab, name: str) -> None:
    await go(browser, "knowledge")
    await press(browser, "named('New knowledge base')")
    await seen(browser, "dialog()?.querySelector('input[name=name]')")
    await browser.value(f"write('[role=dialog] input[name=name]', '{name}')")
    await press(browser, "inDialog('Make it')")
    await seen(browser, f"document.querySelector('h1')?.innerText === '{name}'")


async def make_tutor(browser: Tab, name: str, base: str) -> None:
    await go(browser, "tutors")
    await press(browser, "named('New tutor')")
    await seen(browser, "document.querySelector('input[name=subject]')")
    await browser.value(f"write('input[name=name]', '{name}')")
    await browser.value("write('input[name=subject]', 'Clouds')")
    await press(browser, "document.querySelector('input[name=face][value=david]')")
    await pick(browser, "base", base)
    await press(browser, "document.querySelector('input[name=published]')")
    await press(browser, "named('Save')")
    await seen(browser, "/admin\\/tutors\\/\\d+/.test(location.pathname) && shown('Saved')")


async def make_student(browser: Tab, email: str, password: str) -> None:
    await go(browser, "students")
    await press(browser, "named('Add a student')")
    await seen(browser, "dialog()?.querySelector('input[name=password]')")
    await browser.value("write('[role=dialog] input[name=name]', 'Nora')")
    await browser.value(f"write('[role=dialog] input[name=email]', '{email}')")
    await browser.value("write('[role=dialog] input[name=password]', 'short')")
    await press(browser, "inDialog('Add a student')")
    await seen(browser, "dialog().innerText.includes('at least 8 characters')")
    await browser.value(f"write('[role=dialog] input[name=password]', '{password}')")
    await press(browser, "inDialog('Add a student')")
    await seen(browser, f"!dialog() && shown('{email}')")


async def test_a_tutor_with_a_course_is_made_and_seen_by_its_tenant_alone(
    tmp_path: Path, dist: Path
) -> None:
    async with (
        school(tmp_path, dist) as place,
        browser_at(tmp_path, f"{place.site.url}/admin", place.people.ada) as browser,
    ):
        await seen(browser, "shown('There is no tutor yet')")
        await make_base(browser, "Weather 7")
        base = await browser.value("location.pathname")
        await give(browser, *sorted(FOLDER.glob("*.md"))[:2])
        ready = "document.querySelectorAll('ul [data-tone=good]').length === 2"
        await seen(browser, ready, limit_s=60)
        await browser.value("write('input[name=question]', 'Why do raindrops fall?')")
        await press(browser, "named('Search')")
        await seen(browser, "document.querySelector('figure blockquote')?.innerText")

        await make_tutor(browser, "Nimbus", "Weather 7")
        tutor = await browser.value("location.pathname")
        await make_student(browser, "nora@school.example", "long enough")

        await log_out(browser)
        await log_in(browser, "nora@school.example", "long enough")
        await seen(browser, "named('lesson with Nimbus')?.innerText.includes('your course')")
        await browser.value("named('lesson with Nimbus').click()")
        await seen(browser, "named('Begin the lesson')")
        assert browser.complaints == []

        await log_out(browser)
        await log_in(browser, place.people.bo)
        await browser.call("Page.navigate", url=f"{place.site.url}/admin/tutors")
        await seen(browser, "window.shown && shown('There is no tutor yet')")
        await go(browser, "knowledge")
        await seen(browser, "shown('There is no knowledge base yet')")
        await go(browser, "students")
        await seen(browser, "shown('ben@other.example') && !shown('nora@school.example')")
        for theirs in (base, tutor):
            await browser.call("Page.navigate", url=f"{place.site.url}{theirs}")
            await seen(browser, "window.shown && shown('There is nothing here')")


async def test_a_face_that_cannot_be_made_says_why(tmp_path: Path, dist: Path) -> None:
    photo, letter = tmp_path / "Emma.png", tmp_path / "letter.png"
    cv2.imwrite(str(photo), np.full((256, 256, 3), 200, np.uint8))
    letter.write_text("This is no picture.")
    async with school(tmp_path, dist) as place:
        url = f"{place.site.url}/admin/faces"
        async with browser_at(tmp_path, url, place.people.ada) as browser:
            await seen(browser, "document.querySelectorAll('main li img').length === 3")
            await press(browser, "named('New face')")
            await give(browser, photo)
            await seen(browser, "dialog()?.querySelector('img')?.naturalWidth === 256")
            assert await browser.value("document.querySelector('input[name=face]').value") == "Emma"
            await press(browser, "inDialog('Make the face')")
            await seen(browser, "shown('Could not be made') && shown('MuseTalk is not configured')")
            assert browser.complaints == []

            await press(browser, "named('New face')")
            await give(browser, letter)
            await press(browser, "inDialog('Make the face')")
            await seen(browser, "shown('Not taken')")
            assert await browser.value(
                "[...document.querySelectorAll('[role=alert]')][0].innerText.length > 10"
            )
            await press(browser, "named('Remove from the list')")
            await seen(browser, "!shown('Not taken')")

            await press(browser, "named('Delete Emma')")
            await press(browser, "inDialog('Delete')")
            await seen(browser, "!dialog() && !shown('Could not be made')")


async def test_a_tutor_is_changed_and_deleted(tmp_path: Path, dist: Path) -> None:
    async with school(tmp_path, dist) as place:
        async with place.site.as_(place.people.ada) as http:
            wish = {"name": "Nimbus", "face": "anna", "published": True}
            made = (await http.post("/api/admin/tutors", json=wish)).raise_for_status().json()
        url = f"{place.site.url}/admin/tutors/{made['id']}"
        async with browser_at(tmp_path, url, place.people.ada) as browser:
            await seen(browser, "document.querySelector('input[name=name]')?.value === 'Nimbus'")
            await browser.value("write('input[name=name]', 'Stratus')")
            await seen(browser, "shown('Not saved yet')")
            await go(browser, "students")
            await go(browser, "tutors")
            await press(browser, "named('Nimbus')")
            await seen(browser, "document.querySelector('input[name=name]')?.value === 'Stratus'")
            await press(browser, "named('Save')")
            await seen(browser, "document.querySelector('h1').innerText === 'Stratus'")
            await seen(browser, "!shown('Not saved yet')")
            await browser.value("write('input[name=subject]', 'Clouds')")
            await press(browser, "named('Save')")
            await seen(browser, "shown('Clouds') && !shown('Not saved yet')")
            assert await browser.value("document.querySelector('h1').innerText") == "Stratus"
            await press(browser, "named('Delete')")
            await seen(browser, "dialog()?.innerText.includes('Delete Stratus?')")
            await press(browser, "inDialog('Delete')")
            await seen(browser, "shown('There is no tutor yet')")
            assert browser.complaints == []


async def test_a_lesson_is_seen_and_ended_and_the_engine_tells_how_it_is(
    tmp_path: Path, dist: Path
) -> None:
    async with school(tmp_path, dist) as place:
        site, people = place.site, place.people
        async with site.as_(people.ada) as http:
            wish = {"name": "Nimbus", "face": "anna", "published": True}
            made = (await http.post("/api/admin/tutors", json=wish)).raise_for_status().json()
        async with browser_at(tmp_path, f"{site.url}/admin/lessons", people.ada) as browser:
            await seen(browser, "shown('No lesson is going on')")
            async with site.as_(people.ann) as http:
                wish = {"tutor_id": made["id"]}
                (await http.post("/api/student/sessions", json=wish)).raise_for_status()
            await seen(browser, "shown('Ann with Nimbus')")
            await press(browser, "named('End')")
            await press(browser, "inDialog('End')")
            await seen(browser, "!dialog() && shown('No lesson is going on')")

            await go(browser, "engine")
            await seen(
                browser, "document.querySelectorAll('main li [data-tone=good]').length === 5"
            )
            assert await browser.value("shown('0 of 10 places are taken')")
            dashboard = "document.querySelector('main a[target=_blank]').href"
            assert await browser.value(dashboard) == f"{site.settings.ray_dashboard_url}/"
            assert browser.complaints == []


async def test_ones_own_account_is_changed(tmp_path: Path, dist: Path) -> None:
    async with school(tmp_path, dist) as place:
        site, people = place.site, place.people
        async with browser_at(tmp_path, f"{site.url}/account", people.ann) as browser:
            await seen(browser, "shown('Nothing so far')")
            await browser.value("write('input[name=name]', 'Anne')")
            await press(browser, "named('Save the name')")
            await seen(browser, "shown('Your name is saved.')")
            await browser.value("write('input[name=old]', 'correct horse')")
            await browser.value("write('input[name=new]', 'battery staple')")
            await press(browser, "named('Change the password')")
            await seen(browser, "shown('Your password is changed.')")
            assert browser.complaints == []
            async with site.http(await site.token(people.ann, "battery staple")) as http:
                assert (await http.get("/api/me")).json()["name"] == "Anne"
