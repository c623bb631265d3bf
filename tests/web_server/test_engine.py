"""Every failure of the engine as a refusal that says what to do."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Query, Request
from pydantic import SecretStr
from starlette.responses import JSONResponse, Response

from tests.running import free_port
from tests.web_server.schools import served
from web_server import engine as engine_module
from web_server.engine import EngineClient, segment
from web_server.errors import EngineAway, EngineRefused

app = FastAPI()


@app.get("/fails/{status}")
def fails(status: int) -> None:
    raise HTTPException(status, f"Because of {status}.", headers={"Retry-After": "7"})


@app.get("/fields")
def fields(limit: int = Query(ge=1)) -> int:
    return limit


@app.get("/html")
def html() -> Response:
    return Response("<h1>Bad gateway</h1>", 404, media_type="text/html")


@app.api_route("/other", methods=["GET", "POST", "PUT"])
def other() -> Response:
    """As any program does that was given the engine's port."""
    return Response("<title>Another program</title>", media_type="text/html")


@app.get("/slow")
async def slow(request: Request) -> None:
    """Until the caller has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@app.api_route("/echo/{name:path}", methods=["GET", "POST", "PUT"])
async def echo(name: str, request: Request) -> JSONResponse:
    seen = {"raw": request.scope["raw_path"].decode(), "q": dict(request.query_params)}
    return JSONResponse(seen | {"key": request.headers.get("authorization", "")})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(app) as url:
        yield url


@pytest.fixture
async def engine(url: str) -> AsyncIterator[EngineClient]:
    engine = EngineClient(url, SecretStr("key"))
    yield engine
    await engine.close()


@pytest.mark.parametrize("status", [404, 409, 413, 422, 429, 503, 507])
async def test_a_refusal_comes_out_in_the_engines_words(engine: EngineClient, status: int) -> None:
    with pytest.raises(EngineRefused) as refused:
        await engine.get(f"/fails/{status}")
    assert (refused.value.status, refused.value.sentence) == (status, f"Because of {status}.")
    waits = {"Retry-After": "7"} if status in (429, 503) else {}
    assert refused.value.headers == waits


@pytest.mark.parametrize("address", ["/fails/500", "/fails/502", "/fails/401", "/html"])
async def test_its_own_trouble_is_that_it_is_away(engine: EngineClient, address: str) -> None:
    with pytest.raises(EngineAway) as away:
        await engine.get(address)
    assert "Because" not in away.value.sentence
    assert ("ENGINE_API_KEY" in away.value.sentence) is (address == "/fails/401")


async def test_another_program_at_its_address_is_that_it_is_away(engine: EngineClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"photo"

    for answer in (
        engine.get("/other"),
        engine.post("/other", {}),
        engine.put("/other", {}),
        engine.upload("/other", pieces()),
    ):
        with pytest.raises(EngineAway) as away:
            await answer
        assert away.value.headers["Retry-After"]


async def test_wrong_fields_become_one_sentence(engine: EngineClient) -> None:
    with pytest.raises(EngineRefused) as refused:
        await engine.get("/fields", limit=0)
    assert refused.value.sentence == "limit: Input should be greater than or equal to 1"


async def test_names_and_the_key_arrive_as_they_are(engine: EngineClient) -> None:
    seen: dict[str, Any] = await engine.get(f"/echo/{segment('1/ü %2F')}", q="a b", left_out=None)
    assert seen["raw"].endswith("/echo/1%2F%C3%BC%20%252F")
    assert seen["q"] == {"q": "a b"}
    assert seen["key"] == "Bearer key"


async def test_nobody_there_too_slow_or_switched_off(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = EngineClient(f"http://127.0.0.1:{free_port()}", None)
    off = EngineClient(url, None, enabled=False)
    slow = EngineClient(url, None)
    monkeypatch.setattr(slow._http, "timeout", 0.1)
    for client in (nobody, off, slow):
        with pytest.raises(EngineAway) as away:
            await client.get("/slow")
        assert away.value.status == 503
        assert away.value.headers["Retry-After"]
        with pytest.raises(EngineAway):
            async with client.events("/slow" if client is not slow else "/fails/500"):
                pass
        await client.close()
    assert engine_module.OFF != engine_module.AWAY
