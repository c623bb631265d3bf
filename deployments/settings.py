"""The settings that engines need, from the environment or `.env`."""

from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting is wrong; the sentence names it."""


class EngineSettings(BaseSettings):
    """Names are those of the environment, in lower case. An empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    ollama_base_url: str = "http://127.0.0.1:11434"
    default_llm_model: str = Field(
        default="mistral-nemo:12b-instruct-2407-fp16", min_length=1, max_length=200
    )
    llm_temperature: float = Field(default=0.4, ge=0, le=2)
    enable_llm: bool = True
    """False: the offline tutor answers, whatever is there."""
    whisper_model: str = ""
    """Folder of a CTranslate2 Whisper model, or a name from the hub such as `small`."""

    backend_wait_seconds: float = Field(default=20.0, ge=0, le=600)
    """How long a turn waits for an application that is missing or restarting: Serve needs some
    five seconds to replace a dead replica, and a small model some more to load."""

    @field_validator("ollama_base_url")
    @classmethod
    def _http_url(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError("must look like http://host:port")
        return url.rstrip("/")


def read_engine_settings() -> EngineSettings:
    """Raises `SettingsError` naming every wrong setting."""
    try:
        return EngineSettings()
    except ValidationError as invalid:
        raise SettingsError(sentences(invalid)) from invalid


def sentences(invalid: ValidationError) -> str:
    """One line for each wrong setting, with its name and never with its value."""
    lines = []
    for finding in invalid.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in finding["loc"]).upper()
        message = finding["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {message}" if name else message)
    return "\n".join(lines)
