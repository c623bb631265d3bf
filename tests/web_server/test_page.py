"""The built page, and what every answer says of itself."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import free_port
from tests.web_server.schools import Site, open_site, settings_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home: Path = tmp_path_factory.mktemp("page")
    dist = home / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html>page")
    (dist / "icon.svg").write_text("<svg/>")
    (dist / "assets" / "main-1a2b.js").write_text("export {}")
    (home / "secret.txt").write_text("secret")
    (dist / "link.txt").symlink_to(home / "secret.txt")
    settings = settings_for(
        home, f"http://127.0.0.1:{free_port()}", cors_origins="https://page.example"
    )
    with open_site(settings) as site:
        yield site


@pytest.mark.parametrize("address", ["/", "/tutors/1", "/api-docs", "/talk/a.b", "/index.html"])
async def test_every_address_of_the_page_is_the_page(site: Site, address: str) -> None:
    async with site.http() as http:
        answer = await http.get(address)
        assert (answer.status_code, answer.text) == (200, "<!doctype html>page")
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'self';" in policy
        assert (await http.head(address)).status_code == 200


async def test_hashed_files_are_kept_for_ever_and_others_are_not(site: Site) -> None:
    async with site.http() as http:
        hashed = await http.get("/assets/main-1a2b.js")
        assert hashed.headers["content-type"].startswith("text/javascript")
        assert "immutable" in hashed.headers["cache-control"]
        assert (hashed.headers["content-encoding"], hashed.text) == ("gzip", "export {}")
        plain = await http.get("/assets/main-1a2b.js", headers={"Accept-Encoding": "identity"})
        assert ("content-encoding" in plain.headers, plain.text) == (False, "export {}")
        assert (await http.get("/icon.svg")).headers["cache-control"] == "no-cache"
        gone = await http.get("/assets/main-0000.js")
        assert gone.status_code == 404
        assert gone.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "address",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/link.txt", "/%00"],
)
async def test_nothing_outside_of_the_folder_is_served(site: Site, address: str) -> None:
    async with site.http() as http:
        answer = await http.get(httpx.URL(site.url).copy_with(raw_path=address.encode()))
        assert "secret" not in answer.text


async def test_what_is_missing_in_the_api_is_no_page(site: Site) -> None:
    async with site.http() as http:
        for address in ("/api", "/api/", "/api/nothing", "/api/student/nothing"):
            answer = await http.get(address)
            assert answer.status_code == 404
            assert isinstance(answer.json()["detail"], str)
            assert answer.headers["cache-control"] == "no-store"
        assert (await http.delete("/api/me")).status_code == 405
        assert (await http.get("/api/openapi.json")).json()["info"]["title"] == "Virtual Tutor"


async def test_every_answer_is_careful(site: Site) -> None:
    async with site.http() as http:
        for address in ("/", "/api/me", "/health"):
            headers = (await http.get(address)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


async def test_other_pages_only_when_they_are_named(site: Site) -> None:
    async with site.http() as http:
        for origin, allowed in (("https://page.example", True), ("https://evil.example", False)):
            ask = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
            answer = await http.options("/api/me", headers=ask)
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_body_is_bounded_however_it_is_sent(site: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    async with site.http() as http:
        for body in (b" " * 2_000_000, endless()):
            refused = await http.post("/api/auth/login", content=body)
            assert refused.status_code == 413
            assert refused.json()["detail"]


async def test_a_page_that_is_not_built_says_how(tmp_path: Path) -> None:
    with open_site(settings_for(tmp_path, f"http://127.0.0.1:{free_port()}")) as site:
        async with site.http() as http:
            answer = await http.get("/")
            assert answer.status_code == 503
            assert "make page" in answer.text
