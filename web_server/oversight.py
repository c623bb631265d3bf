"""What an administrator sees of the engine: sessions, models and its health."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import select

from web_server.access import Admin, SchoolDep
from web_server.engine import EngineClient
from web_server.errors import EngineAway, EngineRefused
from web_server.sentences import Language, LanguageDep
from web_server.sessions import Sessions
from web_server.tables import UserRow

oversight = APIRouter(prefix="/api/admin", tags=["engine"])

MODELS_STAGE = "llm"
"""The engine's health has a stage `llm`, and `llm-…` for each tutor's own model."""


class EngineSeen(BaseModel):
    """What the engine says of itself; of one that is away `{"status": "unhealthy", "error"}`."""

    gpu_server: dict[str, Any]
    enabled: bool


class EngineOverview(EngineSeen):
    dashboard_url: str


class ModelPublic(BaseModel):
    name: str
    state: str
    reason: str


class LiveSession(BaseModel):
    id: str
    student_name: str
    tutor_name: str
    started_at: datetime
    last_activity: datetime


async def engine_seen(engine: EngineClient, language: Language) -> EngineSeen:
    try:
        health = await engine.get("/health")
    except (EngineAway, EngineRefused) as away:
        health = {"status": "unhealthy", "error": away.reason.said(language)}
    return EngineSeen(gpu_server=health, enabled=engine.enabled)


@oversight.get("/engine")
async def get_engine(_admin: Admin, school: SchoolDep, language: LanguageDep) -> EngineOverview:
    seen = await engine_seen(school.engine, language)
    return EngineOverview(**seen.model_dump(), dashboard_url=school.settings.ray_dashboard_url)


@oversight.get("/models")
async def list_models(_admin: Admin, school: SchoolDep) -> list[ModelPublic]:
    health = await school.engine.get("/health")
    return [
        ModelPublic(name=stage, state=state["state"], reason=state["reason"])
        for stage, state in health["engines"].items()
        if stage.startswith(MODELS_STAGE)
    ]


@oversight.get("/sessions")
async def list_live(admin: Admin, school: SchoolDep) -> list[LiveSession]:
    """Of the tenant, the newest first."""
    live = await Sessions.of(school).live(tenant_id=admin.id)
    ids = {row.student_id for row, _ in live}
    async with school.database.reading() as rows:
        users = await rows.scalars(select(UserRow).where(UserRow.id.in_(ids)))
        names = {user.id: user.name for user in users}
    return [
        LiveSession(
            id=row.engine_session_id,
            student_name=names.get(row.student_id, ""),
            tutor_name=row.tutor_name,
            started_at=row.started_at,
            last_activity=told["last_activity"],
        )
        for row, told in live
    ]


@oversight.delete("/sessions/{session_id}", status_code=204)
async def end_live(session_id: str, admin: Admin, school: SchoolDep) -> Response:
    sessions = Sessions.of(school)
    await sessions.end(await sessions.of_tenant(admin.id, session_id))
    return Response(status_code=204)
