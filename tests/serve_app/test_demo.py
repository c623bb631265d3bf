"""The files of the page, and what may be asked for besides."""

import re
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from serve_app.demo import demo

TYPES = {
    "/demo": "text/html; charset=utf-8",
    "/demo/index.html": "text/html; charset=utf-8",
    "/demo/demo.css": "text/css; charset=utf-8",
    "/demo/page.js": "text/javascript; charset=utf-8",
    "/demo/pcm.js": "text/javascript; charset=utf-8",
    "/demo/anna.svg": "image/svg+xml; charset=utf-8",
    "/demo/mei-motion.svg": "image/svg+xml; charset=utf-8",
}


async def answer_to(path: str) -> Response:
    api = FastAPI()
    api.include_router(demo)
    async with AsyncClient(transport=ASGITransport(api), base_url="http://tutor") as http:
        return await http.get(path)


@pytest.mark.parametrize("path", TYPES)
async def test_each_file_has_its_type_and_is_not_kept(path: str) -> None:
    answer = await answer_to(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[path]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_page_may_only_use_what_is_its_own() -> None:
    policy = (await answer_to("/demo")).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert rules["connect-src"] == "'self' ws: wss:"
    assert rules["media-src"] == "'self' blob:"
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "file",
    [
        "nothing.js",
        "__init__.py",
        "..%2Fapi.py",
        "%2e%2e/api.py",
        "../api.py",
        "%2Fetc%2Fpasswd",
        "demo.css%00.js",
        "page.js/",
        "nobody.svg",
    ],
)
async def test_nothing_else_is_served(file: str) -> None:
    answer = await answer_to(f"/demo/{file}")
    assert answer.status_code in (404, 307)
    assert "import" not in answer.text


async def test_every_file_that_a_file_names_is_there() -> None:
    named = {"demo/index.html"}
    seen: set[str] = set()
    while named - seen:
        file = (named - seen).pop()
        seen.add(file)
        answer = await answer_to(f"/{file}")
        assert answer.status_code == 200, file
        if not file.endswith(".svg"):
            named |= set(re.findall(r'"(demo/[\w.-]+)"', answer.text))
            imports = re.findall(r'(?:from|import|URL\() ?"(?:\./)?([\w-]+\.js)"', answer.text)
            named |= {f"demo/{name}" for name in imports}
    assert {"demo/lesson.js", "demo/pcm.js", "demo/downsampler.js", "demo/demo.css"} <= seen


@pytest.mark.parametrize("name", ["mei", "anna", "david"])
async def test_portraits_are_drawings_that_open_their_mouth(name: str) -> None:
    still = ElementTree.fromstring((await answer_to(f"/demo/{name}.svg")).text)
    moving = ElementTree.fromstring((await answer_to(f"/demo/{name}-motion.svg")).text)
    assert still.get("viewBox") == moving.get("viewBox")
    assert {group.get("id") for group in moving} == {"lids", "mouths"}
    heights = [_height(mouth) for mouth in moving.find("*[@id='mouths']") or ()]
    assert len(heights) > 3
    assert heights == sorted(heights)


def _height(mouth: ElementTree.Element) -> float:
    places = re.findall(r"(-?[\d.]+) (-?[\d.]+)", mouth[0].get("d", ""))
    rows = [float(y) for _, y in places]
    return max(rows) - min(rows)
