"""In which language a refusal is told."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.proxied import Web, jwt_of, web_before
from tests.running import free_port
from tests.web_server.schools import PASSWORD, People, Site, move_in, open_site, settings_for
from web_server.demo import ADMIN
from web_server.edges import MAX_BODY_BYTES
from web_server.login_limit import OF_ACCOUNT_AND_ADDRESS
from web_server.sentences import MAX_HEADER_CHARS, Language, Sentence, language_of

CHINESE = re.compile(r"[\u4e00-\u9fff]")
A_BROWSERS = "zh-CN,zh;q=0.9,en;q=0.8"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("ZH-hans-cn", "zh"),
        (A_BROWSERS, "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.5, zh;q=0.7", "zh"),
        ("zh;q=0.7, en;q=0.70", "zh"),  # equally: the one that is named first
        ("fr, zh;q=0.1", "zh"),
        ("fr", "en"),
        ("*", "en"),
        ("*;q=0.5, zh;q=0.6", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=0.000", "en"),
        ("zh ; Q=1.000", "zh"),
        # Malformed: that entry counts for nothing, the others do.
        ("zh;q=1.5", "en"),
        ("zh;q=-1", "en"),
        ("zh;q=nan", "en"),
        ("zh;q=٠.٥", "en"),
        ("zh;q=", "en"),
        ("zh;q", "en"),
        ("zh;level=1", "en"),
        ("zh;q=1;q=0", "en"),
        ("en;q=x, zh;q=0.1", "zh"),
        (",;,=;q=1,,zh", "zh"),
        ("zhongwen", "en"),
        ("\x00zh, \xff", "en"),
        ("fr," * MAX_HEADER_CHARS + "zh", "en"),
    ],
)
def test_the_most_wanted_language_that_is_spoken_here(header: str, language: Language) -> None:
    assert language_of(header) == language


def test_several_names_are_put_together_as_the_language_does_it() -> None:
    worn = Sentence("It is the face of {names}. Give them another one first.")
    told = worn.about(names=["Anna", "梅老师"])
    assert told.said() == "It is the face of Anna, 梅老师. Give them another one first."
    assert told.said("zh").startswith("Anna、梅老师正在")


def test_what_has_no_chinese_is_told_as_it_is() -> None:
    assert Sentence("The engine's own: {brace}").said("zh") == "The engine's own: {brace}"
    assert Sentence("For {names}.").about(names=["A", "B"]).said("zh") == "For A, B."


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, People]]:
    """Its engine is away."""
    home: Path = tmp_path_factory.mktemp("web")
    settings = settings_for(home, f"http://127.0.0.1:{free_port()}")
    people = asyncio.run(move_in(settings))
    with open_site(settings) as site:
        yield site, people


LARGE = b'"' + b"a" * MAX_BODY_BYTES + b'"'


async def pieces() -> AsyncIterator[bytes]:
    """Of a body that declares no length."""
    yield LARGE[: MAX_BODY_BYTES // 2]
    yield LARGE[MAX_BODY_BYTES // 2 :]


def student(**wrong: object) -> dict[str, object]:
    return {"email": "new@school.example", "name": "New", "password": PASSWORD} | wrong


STUDENTS = "/api/admin/students"
REFUSED: list[tuple[int, str, str, dict[str, Any]]] = [
    (401, "POST", "/api/auth/login", {"json": {"email": "x@y.example", "password": "x"}}),
    (400, "POST", "/api/me/password", {"json": {"old": "x", "new": "long enough"}}),
    (400, "GET", "/api/admin/faces/a%00/events", {}),
    (404, "GET", "/api/nowhere", {}),
    (404, "PATCH", f"{STUDENTS}/999", {"json": {}}),
    (405, "PUT", "/api/auth/login", {}),
    (409, "POST", STUDENTS, {"json": student(email=People.ann)}),
    (413, "POST", STUDENTS, {"content": LARGE}),
    (413, "POST", STUDENTS, {"content": pieces}),
    (422, "POST", STUDENTS, {"content": b"{"}),
    (422, "POST", STUDENTS, {"json": []}),
    (422, "POST", STUDENTS, {"json": student(email="nobody")}),
    (422, "POST", STUDENTS, {"json": student(name="  ")}),
    (422, "POST", STUDENTS, {"json": student(name="a\nb")}),
    (422, "POST", STUDENTS, {"json": student(password="short")}),
    (422, "POST", STUDENTS, {"json": student(password="l" * 201)}),
    (422, "POST", STUDENTS, {"json": student(more=1)}),
    (422, "POST", STUDENTS, {"json": {}}),
    (422, "PATCH", "/api/me", {"json": {"language": "fr"}}),
    (422, "PATCH", f"{STUDENTS}/x", {"json": {}}),
    (422, "POST", "/api/admin/tutors", {"json": {"name": 1, "face": "/", "language": "English"}}),
    (422, "POST", "/api/admin/tutors", {"json": {"name": "T", "face": "a", "voice": {"rate": 9}}}),
    (503, "GET", "/api/admin/models", {}),
]


async def ask(http: Any, method: str, path: str, given: dict[str, Any], language: str) -> Any:
    content = {"content": pieces()} if given.get("content") is pieces else {}
    headers = {"Accept-Language": language, "Content-Type": "application/json"}
    return await http.request(method, path, headers=headers, **{**given, **content})


@pytest.mark.parametrize(("status", "method", "path", "given"), REFUSED)
async def test_a_refusal_is_in_the_language_of_whoever_asks(
    school: tuple[Site, People], status: int, method: str, path: str, given: dict[str, Any]
) -> None:
    site, people = school
    async with site.http(await site.token(people.ada)) as http:
        told = {}
        for language in ("zh-CN", "en", ""):
            answer = await ask(http, method, path, given, language)
            assert answer.status_code == status
            assert "accept-language" in answer.headers["vary"].lower()
            told[language] = answer.json()["detail"]
    assert CHINESE.search(told["zh-CN"])
    assert not CHINESE.search(told["en"])
    assert told["en"] == told[""]


async def test_every_part_of_what_is_wrong_with_fields_is_told(
    school: tuple[Site, People],
) -> None:
    site, people = school
    wrong = {"email": "nobody", "password": "short", "role": "admin"}
    async with site.http(await site.token(people.ada)) as http:
        chinese = (await ask(http, "POST", STUDENTS, {"json": wrong}, "zh")).json()["detail"]
        english = (await ask(http, "POST", STUDENTS, {"json": wrong}, "en")).json()["detail"]
    assert chinese.split("；") == [
        "邮箱：必须是邮箱地址，例如 name@school.example",
        "名称：必须填写",
        "密码：至少要有 8 个字符",
        "role：这里不认识它，请去掉",
    ]
    assert english.split("; ") == [
        "email: must be an email address, such as name@school.example",
        "name: must be given",
        "password: must have at least 8 characters",
        "role: must be left out: it is not known here",
    ]


async def test_what_clients_compare_to_the_letter_is_always_english(
    school: tuple[Site, People],
) -> None:
    site, people = school
    wish = {"json": {"student_id": people[people.ann]}}
    async with site.http(await site.token(people.ada)) as http:
        answer = await ask(http, "POST", "/api/tutors/999/sessions", wish, "zh")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Tutor not found"})


async def test_a_demo_login_from_elsewhere_is_told_why_it_is_not_taken(
    school: tuple[Site, People],
) -> None:
    site, _ = school
    login = {"email": ADMIN.email, "password": ADMIN.password}
    headers = {"Host": "school.example", "Accept-Language": A_BROWSERS}
    async with site.http() as http:
        answer = await http.post("/api/auth/login", json=login, headers=headers)
    assert answer.status_code == 403
    assert CHINESE.search(answer.json()["detail"])


async def test_who_tries_too_often_is_told_how_long_to_wait(school: tuple[Site, People]) -> None:
    site, people = school
    wrong = {"json": {"email": people.ben, "password": "x"}}
    async with site.http() as http:
        for _ in range(OF_ACCOUNT_AND_ADDRESS):
            await ask(http, "POST", "/api/auth/login", wrong, "zh")
        answer = await ask(http, "POST", "/api/auth/login", wrong, "zh")
    assert answer.status_code == 429
    assert f"{answer.headers['retry-after']} 秒" in answer.json()["detail"]


async def test_an_administrators_call_and_an_engine_that_is_away(
    school: tuple[Site, People],
) -> None:
    site, people = school
    async with site.http(await site.token(people.ann)) as http:
        answer = await ask(http, "GET", STUDENTS, {}, A_BROWSERS)
        assert (answer.status_code, bool(CHINESE.search(answer.json()["detail"]))) == (403, True)
        seen = await ask(http, "GET", "/api/student/gpu/health", {}, A_BROWSERS)
        assert CHINESE.search(seen.json()["gpu_server"]["error"])


# ── over the socket ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_before(f"http://127.0.0.1:{free_port()}") as running:
        yield running


@asynccontextmanager
async def socket(url: str, header: str) -> AsyncIterator[Any]:
    headers = {"Accept-Language": header}
    async with connect(url, additional_headers=headers, proxy=None) as opened:
        yield opened


async def heard(opened: Any) -> str:
    event = json.loads(await opened.recv())
    assert event["type"] == "error"
    return str(event["content"])


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ("", "", "en"),
        ("", A_BROWSERS, "zh"),
        ("&language=zh", "en", "zh"),
        ("&language=en", A_BROWSERS, "en"),
        ("&language=fr", A_BROWSERS, "en"),
        ("&language=", A_BROWSERS, "en"),
    ],
)
async def test_a_socket_says_its_language_in_the_address_or_else_in_the_header(
    web: Web, query: str, header: str, language: Language
) -> None:
    async with socket(web.url(5, "none") + query, header) as opened:
        told = await heard(opened)
    assert bool(CHINESE.search(told)) is (language == "zh")


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_all_that_the_proxy_says_is_in_that_language(web: Web, language: Language) -> None:
    web.accounts.engine_tokens[5] = ["of a session"]
    async with socket(f"{web.url(5)}&language={language}", "") as opened:
        told = [await heard(opened)]  # that the engine is away
        for message in (
            {"type": "text", "content": "Hi"},
            {"type": "login", "token": "x"},
            {"type": "login", "token": jwt_of(6)},
        ):
            await opened.send(json.dumps(message))
            told.append(await heard(opened))
    async with socket(f"{web.url(7)}&language={language}", "") as opened:
        told.append(await heard(opened))  # that there is no session
    assert len(set(told)) == len(told)
    assert [bool(CHINESE.search(one)) for one in told] == [language == "zh"] * len(told)
