"""configs/nginx.conf: what it says, and, where nginx is installed, what it does."""

import asyncio
import contextlib
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from websockets.asyncio.client import connect

from tests.running import PROJECT, eventually, free_port
from tests.web_server.schools import served

CONFIG = PROJECT / "configs/nginx.conf"
NAME = "tutor.example.org"
HOUR_S = 3600
LARGEST_BYTES = 100 * 1000 * 1000
"""Of a photo, a clip or a document, as both servers have it."""


@dataclass
class Block:
    """`name arguments { … }`; the whole file is one without a name."""

    words: list[str]
    directives: list[list[str]] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)

    def of(self, name: str) -> list[list[str]]:
        return [words[1:] for words in self.directives if words[0] == name]

    def one(self, name: str) -> str:
        [[value, *_]] = self.of(name)
        return value

    def under(self, *words: str) -> "Block":
        [found] = [block for block in self.blocks if block.words == list(words)]
        return found


def parsed(text: str) -> Block:
    """Raises `ValueError` for braces, quotes or semicolons that do not fit together."""
    root = Block([])
    stack, words = [root], list[str]()
    for token in tokens(text):
        match token:
            case ";":
                stack[-1].directives.append(taken(words))
            case "{":
                block = Block(taken(words))
                stack[-1].blocks.append(block)
                stack.append(block)
            case "}":
                if words or len(stack) == 1:
                    raise ValueError(f"}} after {words}")
                stack.pop()
            case word:
                words.append(word)
    if words or len(stack) > 1:
        raise ValueError(f"ends within {words or stack[-1].words}")
    return root


def tokens(text: str) -> Iterator[str]:
    pattern = r"""#.*|'([^'\n]*)'|"([^"\n]*)"|([{};])|([^\s{};'"]+)|(\S)"""
    for found in re.finditer(pattern, text):
        if found[5]:
            raise ValueError(f"a stray {found[5]}")
        if not found[0].startswith("#"):
            yield next(part for part in found.groups() if part is not None)


def taken(words: list[str]) -> list[str]:
    if not words:
        raise ValueError("an empty directive")
    given = words.copy()
    words.clear()
    return given


def secure() -> Block:
    """The server that speaks TLS."""
    servers = [block for block in parsed(CONFIG.read_text()).blocks if block.words == ["server"]]
    [found] = [server for server in servers if ["443", "ssl"] in server.of("listen")]
    return found


@pytest.mark.parametrize(
    "text", ["a { b;", "a b", "a { b }", "}", ";", "a 'b;", "server { listen 80; } }"]
)
def test_a_damaged_file_is_noticed(text: str) -> None:
    with pytest.raises(ValueError):
        parsed(text)


def test_each_path_leads_where_it_belongs() -> None:
    root, server = parsed(CONFIG.read_text()), secure()
    assert root.under("upstream", "virtual_tutor_web").one("server") == "127.0.0.1:8000"
    targets = {block.words[-1]: block.one("proxy_pass") for block in server.blocks}
    web = "http://virtual_tutor_web"
    assert targets == {"/": web, "/api/": web, "/api/ws/": web, "/ws/": "http://127.0.0.1:9000"}


def test_sockets_live_long_and_nothing_is_held_back() -> None:
    server = secure()
    for path in ("/api/ws/", "/ws/"):
        location = server.under("location", path)
        assert location.one("proxy_read_timeout") == "1h"
    for path in ("/api/", "/api/ws/", "/ws/"):
        assert server.under("location", path).one("proxy_buffering") == "off"
    assert server.under("location", "/api/").one("proxy_request_buffering") == "off"


def test_both_servers_are_told_who_calls_and_how() -> None:
    server = secure()
    headers = {words[0]: words[1] for words in server.of("proxy_set_header")}
    assert headers["Host"] == "$http_host"
    assert headers["Upgrade"] == "$http_upgrade"
    assert headers["X-Forwarded-For"] == "$remote_addr", "what a client claims is not believed"
    for block in server.blocks:
        assert block.of("proxy_set_header") == [], "one of its own would drop all the others"
    assert server.one("proxy_http_version") == "1.1"


def test_bodies_fit_and_addresses_with_tokens_are_not_logged() -> None:
    root, server = parsed(CONFIG.read_text()), secure()
    size = server.one("client_max_body_size")
    assert size.endswith("m")
    assert int(size[:-1]) * 2**20 >= LARGEST_BYTES
    [[_, log_format]] = server.of("access_log")
    [[name, *fields]] = root.of("log_format")
    assert name == log_format
    assert not re.search(r"\$(request|request_uri|args|query_string)\b", " ".join(fields))


def test_the_ports_are_those_that_the_servers_have_by_themselves() -> None:
    from serve_app.settings import Settings
    from web_server.settings import WebSettings

    assert WebSettings.model_fields["web_port"].default == 8000
    assert Settings.model_fields["management_api_port"].default == 9000


# ── where nginx is installed ─────────────────────────────────────────────────────────────────────


def nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        message = "nginx is not installed: sudo apt-get install nginx"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


# As a distribution's own, with a log for whatever has none.
MAIN = """
{user}
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log {home}/access.log;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/virtual-tutor.conf;
}}
"""


def command(home: Path) -> list[str]:
    return [nginx(), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")]


def configured(home: Path, port: int, web: str, engine: str) -> None:
    """The file, at other addresses, in a configuration that needs no rights of root."""
    text = CONFIG.read_text()
    for old, new in (
        (r"listen \[::\]:\S+( ssl)?;", ""),
        (r"listen 80;", f"listen 127.0.0.1:{free_port()};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        (r"/etc/ssl/tutor", f"{home}/tutor"),
        (r"/var/log/nginx", f"{home}"),
        (r"server 127\.0\.0\.1:8000;", f"server {web.removeprefix('http://')};"),
        (r"http://127\.0\.0\.1:9000", engine),
    ):
        text, count = re.subn(old, new, text)
        assert count, old
    (home / "virtual-tutor.conf").write_text(text)
    user = "user root root;" if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(MAIN.format(home=home, user=user))
    certify(home)


def certify(home: Path) -> None:
    """A certificate that signs itself, for this machine's loopback."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (home / "tutor.pem").write_bytes(certificate.public_bytes(pem))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (home / "tutor.key").write_bytes(key.private_bytes(pem, form, plain))


def web_stand_in() -> FastAPI:
    """Answers as the web server does: with progress, to uploads, on a socket."""
    app, read = FastAPI(), asyncio.Event()

    @app.get("/")
    async def page(request: Request) -> dict[str, str]:
        return dict(request.headers)

    @app.get("/api/admin/faces/Emma/events")
    async def events() -> StreamingResponse:
        async def told() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            await read.wait()
            yield b"data: second\n\n"

        return StreamingResponse(told(), media_type="text/event-stream")

    @app.post("/api/read")
    async def note_read() -> None:
        read.set()

    @app.post("/api/admin/faces")
    async def upload(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.websocket("/api/ws/proxy/user/1")
    async def proxy(socket: WebSocket) -> None:
        await echo("web", socket)

    return app


def engine_stand_in() -> FastAPI:
    app = FastAPI()

    @app.websocket("/ws/{name}")
    async def talk(socket: WebSocket, name: str) -> None:
        await echo("engine", socket)

    return app


async def echo(who: str, socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(f"{who}: {await socket.receive_text()}")
    await socket.close()


@contextlib.contextmanager
def started(home: Path) -> Iterator[None]:
    process = subprocess.Popen(command(home))
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def answers(context: ssl.SSLContext, url: str) -> bool:
    return status(context, url) == 200


def status(context: ssl.SSLContext, url: str, headers: dict[str, str] | None = None) -> int | None:
    """None: nobody answers."""
    try:
        return httpx.get(url, verify=context, headers=headers).status_code
    except httpx.HTTPError:
        return None


def test_nginx_finds_no_fault(tmp_path: Path) -> None:
    configured(tmp_path, free_port(), "http://127.0.0.1:1", "http://127.0.0.1:2")
    done = subprocess.run([*command(tmp_path), "-t"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


async def test_page_progress_uploads_and_sockets_pass(tmp_path: Path) -> None:
    port = free_port()
    with served(web_stand_in()) as web, served(engine_stand_in()) as engine:
        configured(tmp_path, port, web, engine)
        context = ssl.create_default_context(cafile=str(tmp_path / "tutor.pem"))
        url = f"https://127.0.0.1:{port}"
        with started(tmp_path):
            await eventually(lambda: answers(context, url), 60)
            async with httpx.AsyncClient(base_url=url, verify=context, timeout=60) as http:
                await demand_headers(http, port)
                await demand_progress(http)
                body = bytes(5 * 2**20)
                assert (await http.post("/api/admin/faces", content=body)).json() == len(body)
            for path, who in (("/api/ws/proxy/user/1", "web"), ("/ws/user_1", "engine")):
                address = f"wss://127.0.0.1:{port}{path}?token=secret"
                async with connect(address, ssl=context) as socket:
                    await socket.send("hello")
                    assert await socket.recv() == f"{who}: hello"
    log = (tmp_path / "virtual-tutor.log").read_text()
    assert "/api/ws/proxy/user/1" in log
    assert "secret" not in log


async def test_no_log_has_a_token_while_the_servers_behind_are_away(tmp_path: Path) -> None:
    port = free_port()
    configured(tmp_path, port, f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}")
    found = re.search(r"listen (127\.0\.0\.1:\d+);", (tmp_path / "virtual-tutor.conf").read_text())
    assert found is not None
    context = ssl.create_default_context(cafile=str(tmp_path / "tutor.pem"))
    socket = {"Connection": "Upgrade", "Upgrade": "websocket"}
    paths = ("/api/ws/proxy/user/1", "/ws/user_1")
    with started(tmp_path):
        await eventually(lambda: status(context, f"https://127.0.0.1:{port}/") == 502, 60)
        for path in paths:
            for address, expected in (
                (f"https://127.0.0.1:{port}", 502),
                (f"http://{found[1]}", 301),
            ):
                url = f"{address}{path}?token=secret"
                assert status(context, url, socket) == expected
    logs = logs_in(tmp_path)
    for path in paths:
        assert path in logs["virtual-tutor.log"]
    assert {"error.log", "access.log"} <= logs.keys()
    for name, log in logs.items():
        assert "secret" not in log, name


def logs_in(home: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in home.glob("*.log")}


async def demand_headers(http: httpx.AsyncClient, port: int) -> None:
    seen = (await http.get("/", headers={"X-Forwarded-For": "192.0.2.1"})).json()
    assert seen["host"] == f"127.0.0.1:{port}"
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert "upgrade" not in seen


async def demand_progress(http: httpx.AsyncClient) -> None:
    """The second event is sent only when the first one has been read."""
    async with http.stream("GET", "/api/admin/faces/Emma/events") as events:
        lines = events.aiter_lines()
        assert await anext(lines) == "data: first"
        await http.post("/api/read")
        assert [line async for line in lines if line] == ["data: second"]
