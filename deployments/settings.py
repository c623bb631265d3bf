"""The settings that engines need, from the environment or `.env`."""

from pathlib import Path

from pydantic import Field

from foundation.settings import (
    EnvironmentSettings,
    HeaderValue,
    Home,
    HttpUrl,
    OptionalHttpUrl,
    default_home,
    read,
)


class EngineSettings(EnvironmentSettings):
    """What the engines can be told from outside."""

    ollama_base_url: HttpUrl = "http://127.0.0.1:11434"
    default_llm_model: str = Field(
        default="mistral-nemo:12b-instruct-2407-fp16", min_length=1, max_length=200
    )
    llm_temperature: float = Field(default=0.4, ge=0, le=2)
    enable_llm: bool = True
    """False: the offline tutor answers, whatever is there."""
    llm_max_tokens: int = Field(default=1024, ge=16, le=32_768)
    """The longest answer; 1024 are some five minutes of speech."""
    llm_context_tokens: int | None = Field(default=None, ge=512, le=1_048_576)
    """Conversation and answer together. None: what the model has, at most 8192."""
    llm_stop: str = ""
    """Comma-separated words before which an answer ends."""
    llm_think: bool = False
    """Whether models that can think before they answer do; it is never spoken, but waited for."""
    llm_keep_alive: str = Field(
        default="30m", pattern=r"^(-?\d+|-?(\d+(\.\d+)?(ms|s|m|h))+)$", max_length=40
    )
    """How long Ollama holds the model after an answer: such as `30m`, or seconds, -1 for ever."""
    llm_pull: bool = False
    """Whether a model that Ollama lacks is downloaded."""
    llm_first_token_seconds: float = Field(default=30.0, ge=1, le=50)
    """How long one model may take for its first word; then the next one is asked."""
    llm_answer_seconds: float = Field(default=120.0, ge=1, le=3600)
    """How long a model may write at one answer."""
    openai_base_url: OptionalHttpUrl = ""
    """A server of OpenAI's API, such as vLLM or llama.cpp; `/v1` is added when it has no path."""
    openai_api_key: HeaderValue | None = None
    transformers_model: str = ""
    """Folder of a language model for the library transformers, or a name from the hub."""
    whisper_model: str = ""
    """Folder of a CTranslate2 Whisper model, or a name from the hub such as `small`."""
    tts_model: str = ""
    """Folder of a Coqui model (XTTS v2 or VITS), or its published name such as
    `tts_models/multilingual/multi-dataset/xtts_v2`; empty: the embedded voice speaks."""
    coqui_tos_agreed: bool = False
    """A person's yes to the Coqui Public Model License, which XTTS asks for. Coqui's own name."""

    musetalk_models: str = ""
    """Folder with MuseTalk's models as they are published; empty: the drawn faces are shown."""
    tutor_home: Home = Field(default_factory=default_home)
    """Where the database, the avatars, the log and the PID file live."""

    knowledge_uri: str = ""
    """Where the knowledge bases are: a folder, or object storage such as `s3://bucket/path`, whose
    keys come from its own variables (AWS_…, GOOGLE_…, AZURE_…). Empty: in `tutor_home`."""
    embedding_base_url: OptionalHttpUrl = ""
    """A server of OpenAI's API that has an embedding model; `/v1` is added when it has no path."""
    embedding_api_key: HeaderValue | None = None
    embedding_model: str = ""
    """Its model; without such a server a model of Ollama's, or the folder of a model of
    sentence-transformers, which then runs here. Empty: Ollama's bge-m3."""

    backend_wait_seconds: float = Field(default=20.0, ge=0, le=600)
    """How long a turn waits for an application that is missing or restarting: Serve needs some
    five seconds to replace a dead replica, and a small model some more to load."""

    @property
    def avatars_folder(self) -> Path:
        """The prepared avatars; every node that shows them must see it."""
        return self.tutor_home / "avatars"

    @property
    def knowledge(self) -> str:
        """Folder or URL of the knowledge bases in force."""
        return self.knowledge_uri or str(self.tutor_home / "knowledge")

    @property
    def knowledge_uploads(self) -> Path:
        """Documents on their way into the bases; every node that receives or reads them must see
        it, also where the bases are in object storage."""
        return self.tutor_home / "knowledge" / "uploads"

    @property
    def llm_stop_words(self) -> tuple[str, ...]:
        return tuple(filter(None, map(str.strip, self.llm_stop.split(","))))


def read_engine_settings() -> EngineSettings:
    """Raises `SettingsError` naming every wrong setting."""
    return read(EngineSettings)
