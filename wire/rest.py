"""Models of the engine's REST API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

INT64_MAX = 2**63 - 1
"""Ids are stored as 64-bit integers."""

Id = Annotated[int, Field(ge=0, le=INT64_MAX)]


class SessionCreate(BaseModel):
    model_config = ConfigDict(extra="ignore")
    tutor_id: Id
    student_id: Id
    kb_id: str | None = Field(default=None, max_length=128, pattern=r"^[^\x00-\x1f]*$")


class SessionCreated(BaseModel):
    session_id: str
    engine_url: str
    """`ws://…/ws/ws/{session_id}`; the client appends `?token={engine_token}`."""
    engine_token: str
    status: Literal["active"] = "active"


class SessionPublic(BaseModel):
    session_id: str
    tutor_id: int
    student_id: int
    kb_id: str | None
    status: Literal["active"]
    created_at: datetime
    last_activity: datetime


class MessagePublic(BaseModel):
    """One entry of a session's conversation."""

    message_id: int
    role: Literal["user", "assistant"]
    content: str
    interrupted: bool = False
    """True when the learner cut the answer off: `content` is then what had been heard."""
    created_at: datetime


class EngineHealth(BaseModel):
    engine: str
    state: Literal["ready", "degraded", "starting", "unavailable"]
    reason: str = ""
    remedy: str = ""


class SessionCount(BaseModel):
    active: int
    max: int


class Health(BaseModel):
    status: Literal["healthy"] = "healthy"
    service: Literal["GPU Server"] = "GPU Server"
    version: str
    engines: dict[str, EngineHealth]
    sessions: SessionCount
