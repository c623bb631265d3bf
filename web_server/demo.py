"""What stands in a new database on a machine that only its own people reach: two accounts with
known passwords, three tutors, and the sample course."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from foundation.settings import SettingsError, is_loopback
from web_server.access import School
from web_server.engine import EngineClient, segment
from web_server.errors import EngineAway, EngineRefused, NotAllowed
from web_server.sentences import Sentence
from web_server.sessions import engine_kb_id
from web_server.settings import PROJECT, hostname
from web_server.tables import KnowledgeRow, TutorRow, UserRow

logger = logging.getLogger(__name__)

COURSE = "weather"
COURSE_FOLDER = PROJECT / "configs" / "courses" / COURSE
OFFER_INTERVAL_S = 10.0
"""The engine needs about half a minute to start."""


@dataclass(frozen=True, slots=True)
class Account:
    email: str
    password: str
    name: str


ADMIN = Account("admin@example.com", "admin123", "Demo school")
STUDENT = Account("student@example.com", "student123", "Demo student")

NOT_ELSEWHERE = (
    "The demo account {email} still has its well-known password, and the demo is switched off"
    " (DEMO_ACCOUNTS, or a WEB_HOST that others can reach). Give it another one with"
    " `python -m web_server password {email}`, or listen on 127.0.0.1."
)

HERE_ALONE = Sentence(
    "Everybody knows the password of this demo account, so it is only for this machine itself, at"
    " its address http://127.0.0.1 or http://localhost. For use from elsewhere set"
    " DEMO_ACCOUNTS=false and make an account with `python -m web_server add-admin EMAIL`."
)


def demand_here(email: str, password: str, host: str, address: str) -> None:
    """Raises `NotAllowed` for a login that everybody knows when it comes by another name (`host`,
    of the request), as that of a foreign page whose name leads here, or from another `address`,
    through a proxy of this machine."""
    known = any((email, password) == (demo.email, demo.password) for demo in (ADMIN, STUDENT))
    if known and not (is_loopback(hostname(f"//{host}")) and is_loopback(address)):
        raise NotAllowed(HERE_ALONE)


def demo_tutors(tenant_id: int) -> list[TutorRow]:
    """The first three of the engine's configs/tutors.yaml."""
    given = {"tenant_id": tenant_id, "kb_id": COURSE, "published": True, "voice_rate": 1.0}
    return [
        TutorRow(
            id=1,
            name="梅老师",
            subject="天气",
            description="用中文讲天气和水循环。",
            language="zh",
            prompt="你是{name}，一位耐心的导师，正在和学生面对面交谈。用学生的语言，用几句简短的口语"
            "回答；有助于学习时，以一个问题结束。",
            face="mei",
            voice_name="f3",
            voice_pitch=1.1,
            **given,
        ),
        TutorRow(
            id=2,
            name="Anna",
            subject="Weather",
            description="Talks about the weather and the water cycle, in English.",
            language="en",
            face="anna",
            voice_name="f2",
            voice_pitch=1.05,
            **given,
        ),
        TutorRow(
            id=3,
            name="David",
            subject="Weather",
            description="Talks about the weather and the water cycle, in English.",
            language="en",
            face="david",
            voice_name="m3",
            voice_pitch=0.95,
            **given,
        ),
    ]


async def seed(school: School) -> None:
    """Once: nothing that a person has changed or deleted comes back."""
    async with school.database.reading() as rows:
        if await _account(rows, ADMIN) is not None:
            return
    hashes = [await school.passwords.hashed(account.password) for account in (ADMIN, STUDENT)]
    now = datetime.now(UTC)
    admin, student = (
        UserRow(email=account.email, name=account.name, password_hash=hash_, created_at=now)
        for account, hash_ in zip((ADMIN, STUDENT), hashes, strict=True)
    )
    with suppress(IntegrityError):  # another process has just done it
        await _move_in(school, admin, student)


async def _move_in(school: School, admin: UserRow, student: UserRow) -> None:
    async with school.database.writing() as rows:
        rows.add(admin)
        await rows.flush()
        if await _account(rows, STUDENT) is None:
            student.admin_id = admin.id
            rows.add(student)
        rows.add(
            KnowledgeRow(
                tenant_id=admin.id, kb_id=COURSE, name="Weather", created_at=admin.created_at
            )
        )
        for tutor in demo_tutors(admin.id):
            if await rows.get(TutorRow, tutor.id) is None:
                rows.add(tutor)


async def demand_none(school: School) -> None:
    """Raises `SettingsError` when somebody could log in with a well-known password."""
    for account in (ADMIN, STUDENT):
        async with school.database.reading() as rows:
            user = await _account(rows, account)
        if user is None or not user.active:
            continue
        if await school.passwords.fits(account.password, user.password_hash):
            raise SettingsError(NOT_ELSEWHERE.format(email=account.email))


async def offer_course(school: School, folder: Path = COURSE_FOLDER) -> None:
    """Give the engine the documents of the sample course, as soon as it is there and if it has
    none."""
    async with school.database.reading() as rows:
        admin = await _account(rows, ADMIN)
        base = await rows.get(KnowledgeRow, (admin.id, COURSE)) if admin else None
    if admin is None or base is None or not school.engine.enabled:
        return
    path = f"/v1/knowledge/{segment(engine_kb_id(admin.id, COURSE))}/documents"
    while True:
        try:
            await _offer(school.engine, path, folder)
            return
        except (TypeError, OSError):
            logger.exception("The sample course cannot be given to the engine")
            return
        except EngineAway:
            pass
        except EngineRefused as refused:
            if refused.status != 503:
                logger.error("The sample course is not taken: %s", refused.sentence)
                return
        await asyncio.sleep(OFFER_INTERVAL_S)


async def _offer(engine: EngineClient, path: str, folder: Path) -> None:
    if await _documents(engine, path):
        return
    for file in await asyncio.to_thread(lambda: sorted(folder.glob("*.*"))):
        content = await asyncio.to_thread(file.read_bytes)
        await engine.upload(path, _at_once(content), name=file.name)


async def _documents(engine: EngineClient, path: str) -> int:
    try:
        return len(await engine.get(path))
    except EngineRefused as refused:
        if refused.status != 404:
            raise
        return 0


async def _at_once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _account(rows: AsyncSession, account: Account) -> UserRow | None:
    return await rows.scalar(select(UserRow).where(UserRow.email == account.email))
