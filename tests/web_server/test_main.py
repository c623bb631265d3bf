"""The command, as a person types it."""

import asyncio
import contextlib
import io
import os
import re
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.running import PROJECT, eventually, free_port
from tests.web_server.schools import settings_for
from web_server.__main__ import main
from web_server.app import opened, prepare


def environ(home: Path, **more: str) -> dict[str, str]:
    """Not the demo: a server that is meant for others."""
    return {
        **os.environ,
        "TUTOR_HOME": str(home),
        "DEMO_ACCOUNTS": "false",
        "ENGINE_URL": f"http://127.0.0.1:{free_port()}",
        **more,
    }


async def command(home: Path, *words: str, typed: str = "", **more: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "web_server",
        *words,
        cwd=PROJECT,
        env=environ(home, **more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate(typed.encode())
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def serving(
    home: Path,
) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.subprocess.Process]]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "web_server",
        cwd=PROJECT,
        env=environ(home, WEB_PORT=str(port)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            await eventually(lambda: process.returncode is not None or is_open(port), 120)
            yield http, process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def reckoned(home: Path) -> str:
    """What is kept of the first account's password."""
    with contextlib.closing(sqlite3.connect(home / "web.sqlite3")) as database:
        (kept,) = database.execute("SELECT password_hash FROM web_users").fetchone()
    return str(kept)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_an_administrator_is_made_and_logs_in(tmp_path: Path) -> None:
    code, out, err = await command(
        tmp_path, "add-admin", "Head@School.example", typed="open sesame\n"
    )
    assert (code, err) == (0, "")
    assert out == "head@school.example is an administrator now.\n"
    assert reckoned(tmp_path).startswith("$argon2id$v=19$m=65536,t=3,p=4$")  # RFC 9106
    again = await command(tmp_path, "add-admin", "head@school.example", typed="open sesame\n")
    assert again[0] == 1
    assert "already" in again[2]
    body = {"email": "head@school.example", "password": "open sesame"}
    async with serving(tmp_path) as (http, process):
        told = (await http.post("/api/auth/login", json=body)).raise_for_status().json()
        assert told["user"]["role"] == "admin"
        changed = await command(tmp_path, "password", body["email"], typed="another one\n")
        assert changed[0] == 0
        key = {"Authorization": f"Bearer {told['access_token']}"}
        assert (await http.get("/api/me", headers=key)).status_code == 401
        ask = {"token": told["access_token"]}
        assert (await http.get("/health", params=ask)).status_code == 200
        process.terminate()
        assert process.stderr is not None
        log = (await process.stderr.read()).decode()
    assert told["access_token"] not in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("words", "typed", "more", "sentence"),
    [
        (("password", "nobody@x.example"), "open sesame\n", {}, "no account nobody@x.example"),
        (("add-admin", "a@x.example"), "short\n", {}, "8 to 200 characters"),
        ((), "", {"SECRET_KEY": "changethis"}, "SECRET_KEY"),
        ((), "", {"WEB_HOST": "0.0.0.0", "DEMO_ACCOUNTS": "true"}, "DEMO_ACCOUNTS"),
        ((), "", {"WEB_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "database"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    typed: str,
    more: dict[str, str],
    sentence: str,
) -> None:
    """In this process: another one takes seconds to start."""
    monkeypatch.chdir(tmp_path)  # no .env of somebody's
    for name, value in environ(tmp_path, **more).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["web_server", *words])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, str), "that is printed, and the process ends with 1"
    assert sentence in ended.value.code


async def test_a_server_for_others_does_not_start_with_the_demos_passwords(tmp_path: Path) -> None:
    demo = settings_for(tmp_path, "http://127.0.0.1:1", secret_key=None, demo_accounts=True)
    async with opened(demo) as school:
        await prepare(school)
    code, _, err = await command(tmp_path)
    assert code == 1
    (mended,) = re.findall(r"`python -m web_server (password \S+)`", err)
    assert mended == "password admin@example.com"
    assert "Traceback" not in err
