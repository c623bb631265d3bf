"""Logging in, and one's own account; on SQLite and PostgreSQL."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from tests.running import Running, eventually
from tests.web_server.schools import (
    PASSWORD,
    QUICK,
    People,
    Site,
    move_in,
    open_site,
    settings_for,
)
from web_server.app import opened
from web_server.errors import Crowded
from web_server.login_limit import OF_ACCOUNT_AND_ADDRESS
from web_server.passwords import AT_ONCE, MAX_WAITING, Passwords
from web_server.tables import UserRow

CLASS = 60
"""More than wrong passwords are taken from one address."""


async def test_a_login_says_who_it_is_and_for_how_long(site: Site, people: People) -> None:
    async with site.http() as http:
        body = {"email": " Ann@School.example ", "password": PASSWORD}
        told = (await http.post("/api/auth/login", json=body)).raise_for_status().json()
    assert (told["token_type"], told["expires_in"]) == ("bearer", 30 * 60)
    assert told["user"] == {
        "id": people[people.ann],
        "email": people.ann,
        "name": "Ann",
        "role": "student",
        "language": None,
    }
    async with site.http(told["access_token"]) as http:
        assert (await http.get("/api/me")).json() == told["user"]
        again = (await http.post("/api/auth/refresh")).raise_for_status().json()
        assert again["user"] == told["user"]
        assert again["access_token"] != told["access_token"]
    async with site.http(again["access_token"]) as http:
        assert (await http.get("/api/me")).status_code == 200


async def test_a_wrong_address_and_a_wrong_password_are_told_in_the_same_words(
    site: Site, people: People
) -> None:
    async with site.http() as http:
        refused = [
            await http.post("/api/auth/login", json={"email": email, "password": password})
            for email, password in ((people.ben, "not it"), ("nobody@x.example", PASSWORD))
        ]
    assert [answer.status_code for answer in refused] == [401, 401]
    assert refused[0].json() == refused[1].json()


async def test_one_changes_ones_own_name_and_language(site: Site, people: People) -> None:
    async with site.as_(people.ben) as http:
        changed = await http.patch("/api/me", json={"name": " 小本 ", "language": "zh"})
        assert (changed.json()["name"], changed.json()["language"]) == ("小本", "zh")
        assert (await http.patch("/api/me", json={"language": None})).json()["language"] is None
        assert (await http.get("/api/me")).json()["name"] == "小本"
        for wrong in ({"name": "  "}, {"language": "fr"}, {"role": "admin"}, {"email": "x@y"}):
            refused = await http.patch("/api/me", json=wrong)
            assert refused.status_code == 422
            assert isinstance(refused.json()["detail"], str)


async def test_a_new_password_ends_the_other_logins(site: Site, people: People) -> None:
    other = await site.token(people.bo)
    async with site.as_(people.bo) as http:
        wrong = await http.post("/api/me/password", json={"old": "x", "new": "long enough"})
        assert wrong.status_code == 400
        short = await http.post("/api/me/password", json={"old": PASSWORD, "new": "short"})
        assert short.status_code == 422
        assert "short" not in short.json()["detail"].replace("shorter", "")
        body = {"old": PASSWORD, "new": "another one"}
        assert (await http.post("/api/me/password", json=body)).status_code == 204
        assert (await http.get("/api/me")).status_code == 200
        follows = (await http.post("/api/auth/refresh")).raise_for_status().json()["access_token"]
    async with site.http(other) as http:
        assert (await http.get("/api/me")).status_code == 401
    async with site.http(follows) as http:
        assert (await http.get("/api/me")).status_code == 200
        back = {"old": "another one", "new": PASSWORD}
        assert (await http.post("/api/me/password", json=back)).status_code == 204


async def test_many_tries_are_refused_however_fast_they_come(
    tmp_path: Path, gateway: Running
) -> None:
    settings = settings_for(tmp_path, gateway.url)
    people = await move_in(settings)
    with open_site(settings) as site:
        async with site.http() as http:
            guess = {"email": people.ada, "password": "guess"}
            async with asyncio.TaskGroup() as tasks:
                tries = [
                    tasks.create_task(http.post("/api/auth/login", json=guess)) for _ in "12345678"
                ]
            statuses = sorted(task.result().status_code for task in tries)
            assert statuses == [401] * OF_ACCOUNT_AND_ADDRESS + [429] * 3
            right = {"email": people.ada, "password": PASSWORD}
            refused = await http.post("/api/auth/login", json=right)
            assert refused.status_code == 429
            assert 0 < int(refused.headers["retry-after"]) <= 300
            other = {"email": people.bo, "password": PASSWORD}
            assert (await http.post("/api/auth/login", json=other)).status_code == 200


class Counting(PasswordHasher):
    """Tells how often it has reckoned."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        self.verified += 1
        return bool(super().verify(hash, password))


async def test_an_account_that_is_not_there_costs_as_much_reckoning() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)
    stored = await passwords.hashed("open sesame")
    assert stored.startswith("$argon2id$")
    assert await passwords.fits("open sesame", stored)
    assert not await passwords.fits("open", stored)
    assert not await passwords.fits("nobody's", None)
    assert hasher.verified == 3
    assert not await passwords.fits("anything", "no hash at all")


async def test_logins_wait_for_each_other_up_to_a_bound() -> None:
    passwords = Passwords(Counting())
    stored = await passwords.hashed("open sesame")
    async with asyncio.TaskGroup() as tasks:
        for _ in range(MAX_WAITING):
            tasks.create_task(passwords.fits("x", stored))
        await asyncio.sleep(0)
        with pytest.raises(Crowded):
            await passwords.fits("x", stored)
    assert AT_ONCE < MAX_WAITING
    assert await passwords.fits("open sesame", stored)


async def test_a_class_behind_one_address_logs_in_at_once(
    tmp_path: Path, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are there before the first password has been looked at."""
    settings = settings_for(tmp_path, gateway.url)
    people = await move_in(settings)
    emails = [f"s{number}@school.example" for number in range(CLASS)]
    now, hashed = datetime.now(UTC), QUICK.hash(PASSWORD)
    async with opened(settings) as school, school.database.writing() as rows:
        rows.add_all(
            UserRow(
                admin_id=people[people.ada],
                email=email,
                name=email,
                password_hash=hashed,
                created_at=now,
            )
            for email in emails
        )
    with open_site(settings) as site:
        passwords = site.app.state.school.passwords
        all_there = threading.Event()

        def reckon(password: str, stored: str | None) -> str:
            all_there.wait()
            return Passwords._reckon(passwords, password, stored)

        with monkeypatch.context() as slow:
            slow.setattr(passwords, "_reckon", reckon)
            logins = [asyncio.create_task(site.token(email)) for email in emails]
            try:
                await eventually(lambda: passwords._waiting == CLASS, 60)
            finally:
                all_there.set()
            assert len(set(await asyncio.gather(*logins))) == CLASS
        async with site.http() as http:
            guess = {"email": emails[0], "password": "not it"}
            told = [
                (await http.post("/api/auth/login", json=guess)).status_code
                for _ in range(OF_ACCOUNT_AND_ADDRESS + 1)
            ]
        assert told == [401] * OF_ACCOUNT_AND_ADDRESS + [429]
