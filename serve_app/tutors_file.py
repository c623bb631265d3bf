"""The tutors' file, `configs/tutors.yaml`: what may stand in it, and whether it has changed."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engines.base import Outside
from foundation.settings import SettingsError

DEFAULT_PROMPT = (
    "You are {name}, a patient tutor who is speaking with a student. Answer in the student's "
    "language, in a few short spoken sentences, and end with a question when it helps to learn."
)
LANGUAGE = r"^[a-z]{2,3}$"
"""ISO 639: `en`, `zh`, `yue`."""

logger = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class VoiceEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = ""
    rate: float = Field(default=1.0, ge=0.5, le=2)
    pitch: float = Field(default=1.0, ge=0.5, le=2)
    language: str | None = Field(default=None, pattern=LANGUAGE)


class TutorEntry(BaseModel):
    """One tutor as the file describes it."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(default="Tutor", min_length=1, max_length=100)
    language: str | None = Field(default=None, pattern=LANGUAGE)
    """Hint for the recogniser; None: as it hears."""
    prompt: str = DEFAULT_PROMPT
    model: str | None = Field(default=None, min_length=1, max_length=200)
    """Language model; None: DEFAULT_LLM_MODEL. `TUTOR_{id}_LLM_MODEL` comes before both."""
    voice: VoiceEntry = VoiceEntry()
    face: str
    vocabulary: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(
        default=(), max_length=100
    )
    """Words of its course that the recogniser should expect; Whisper has room for some 100."""
    kb: str | None = Field(default=None, max_length=128, pattern=r"^[^\x00-\x1f]+$")
    """Its knowledge base, for sessions that name none of their own."""
    outside: Outside = "say_so"
    """What it does with a question that the course does not answer."""


class ModelEntry(BaseModel):
    """How the application of one language model runs; what is None is as `llm-default` has it in
    serve.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    engine: Literal["auto", "openai", "ollama", "transformers", "offline", "stub"] | None = None
    gpu: float | None = Field(default=None, ge=0, le=1)
    """Fraction of a GPU for each replica."""
    min_replicas: int | None = Field(default=None, ge=0, le=1000)
    """0: no replica while nobody asks; the first question waits until one has started."""
    max_replicas: int | None = Field(default=None, ge=1, le=1000)
    target_ongoing_requests: float | None = Field(default=None, gt=0, le=10_000)
    """Answers that a replica writes at once, on average; more bring another replica."""
    upscale_delay_s: float | None = Field(default=None, ge=0, le=3600)
    downscale_delay_s: float | None = Field(default=None, ge=0, le=86_400)
    downscale_to_zero_delay_s: float | None = Field(default=None, ge=0, le=86_400)
    """Before the last replica goes; None: as `downscale_delay_s`."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        least, most = self.min_replicas, self.max_replicas
        if least is not None and most is not None and least > most:
            raise ValueError("min_replicas must not be more than max_replicas")
        return self


class TutorsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tutors: dict[int, TutorEntry] = {}
    anyone: list[TutorEntry] = Field(min_length=1)
    """Stand in, by turns, for tutors that the file does not name."""
    models: dict[str, ModelEntry] = {}
    """By the name of the language model."""

    @property
    def entries(self) -> tuple[TutorEntry, ...]:
        return (*self.tutors.values(), *self.anyone)


def parsed(text: str, name: str, faces: Collection[str] = ()) -> TutorsFile:
    """The content of a file called `name`; each face must be one of `faces`, unless there are none.

    Raises `SettingsError` with the place of what is wrong.
    """
    try:
        content: Any = yaml.safe_load(text)
        file = TutorsFile.model_validate(content)
    except yaml.YAMLError as broken:
        raise SettingsError(f"The tutors' file {name} is not YAML: {broken}") from broken
    except ValidationError as invalid:
        finding = invalid.errors(include_url=False)[0]
        place = " → ".join(str(part) for part in finding["loc"])
        told = finding["msg"].removeprefix("Value error, ")
        raise SettingsError(f"The tutors' file {name}: {place}: {told}") from invalid
    for face in missing_faces(file, faces):
        raise SettingsError(
            f"The tutors' file {name}: there is no face {face!r}; there are {', '.join(faces)}."
        )
    return file


def missing_faces(file: TutorsFile, faces: Collection[str]) -> set[str]:
    """Those that tutors should have, and that are none of `faces`, unless there are none."""
    return {entry.face for entry in file.entries if faces and entry.face not in faces}


class TutorsSource:
    """A tutors' file on disk. Blocks for milliseconds: call it in a thread."""

    def __init__(self, path: Path, faces: Collection[str] = ()) -> None:
        self.path = path
        self._faces = faces
        self._stamp: Stamp | None = None

    def read(self) -> TutorsFile:
        """A missing face is logged; a drawn one stands in for it. Raises `SettingsError`."""
        self._stamp = self._seen()  # before reading, so that no change is missed
        try:
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as missing:
            raise SettingsError(
                f"The tutors' file {self.path} cannot be read: {missing}"
            ) from missing
        file = parsed(text, str(self.path))
        for face in missing_faces(file, self._faces):
            logger.warning(
                "The tutors' file %s: there is no face %r; there are %s. A drawn one is shown.",
                self.path,
                face,
                ", ".join(self._faces),
            )
        return file

    def news(self) -> TutorsFile | None:
        """The file if it has changed since the last look; a wrong one raises `SettingsError` once
        for each change."""
        return None if self._seen() == self._stamp else self.read()

    def _seen(self) -> Stamp | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
