"""Addresses, with real servers as proxies and with passwords."""

import base64

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from engines.llm.address import Address
from tests.ollama_server import http_server
from tests.running import free_port


def told(request: Request) -> PlainTextResponse:
    """To whom the question was sent, and with which login."""
    return PlainTextResponse(
        f"{request.headers['host']} {request.headers.get('authorization', '')}"
    )


SERVER = Starlette(routes=[Route("/told", told)])


async def asked(address: Address) -> str:
    async with httpx.AsyncClient(**address.client_options()) as client:
        return (await client.get(f"{address.url}/told")).text


@pytest.mark.parametrize(
    ("url", "shown", "login"),
    [
        ("http://host:1/v1", "http://host:1/v1", None),
        ("http://me:s3cret@host:1/v1", "http://host:1/v1", ("me", "s3cret")),
        ("https://me:a%40b%3Ac@[::1]:1", "https://[::1]:1", ("me", "a@b:c")),
        ("http://me@host", "http://host", ("me", "")),
    ],
)
def test_a_password_is_told_from_what_may_be_shown(
    url: str, shown: str, login: tuple[str, str] | None
) -> None:
    address = Address.of(url)
    assert (address.url, address.login) == (shown, login)
    assert "s3cret" not in repr(address)


async def test_the_password_reaches_the_server() -> None:
    with http_server(SERVER) as url:
        heard = await asked(Address.of(url.replace("http://", "http://me:s3%20cret@")))
    assert base64.b64decode(heard.split()[-1]) == b"me:s3 cret"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
async def test_no_proxy_hears_what_is_said_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str, variable: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    with http_server(SERVER) as url:
        assert (await asked(Address.of(url.replace("127.0.0.1", host)))).startswith(host)


async def test_other_machines_are_reached_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with http_server(SERVER) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        assert (await asked(Address.of("http://model.example"))).startswith("model.example")
