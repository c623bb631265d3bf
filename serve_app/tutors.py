"""Who the tutors are: name, language, prompt, voice and face, from `configs/tutors.yaml`."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.settings import SettingsError
from engines.base import Voice
from engines.errors import UnknownAvatar
from serve_app.settings import Settings

DEFAULT_PROMPT = (
    "You are {name}, a patient tutor who is speaking with a student. Answer in the student's "
    "language, in a few short spoken sentences, and end with a question when it helps to learn."
)
DEFAULT_LLM_APP = "llm-default"
"""The Serve application that holds `DEFAULT_LLM_MODEL`."""

_AVATAR_OF_TUTOR = re.compile(r"^avatar_tutor_(\d+)$")


class VoiceEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = ""
    rate: float = Field(default=1.0, ge=0.5, le=2)
    pitch: float = Field(default=1.0, ge=0.5, le=2)
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")


class TutorEntry(BaseModel):
    """One tutor as the file describes it."""

    model_config = ConfigDict(extra="forbid")
    name: str = "Tutor"
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    """Hint for the recogniser; None: as it hears."""
    prompt: str = DEFAULT_PROMPT
    model: str | None = None
    """Language model; None: `TUTOR_{id}_LLM_MODEL` or `DEFAULT_LLM_MODEL`."""
    voice: VoiceEntry = VoiceEntry()
    face: str


class TutorsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tutors: dict[int, TutorEntry] = {}
    anyone: list[TutorEntry] = Field(min_length=1)
    """Stand in, by turns, for tutors that the file does not name."""


class Tutor(BaseModel):
    """What a turn needs to know of its tutor."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    id: int
    name: str
    language: str | None
    prompt: str
    voice: Voice
    face: str
    llm_app: str


class Tutors:
    """All tutors by id; an id the file does not name gets one of its stand-ins."""

    def __init__(self, file: TutorsFile, settings: Settings) -> None:
        self._file = file
        self._settings = settings

    def get(self, tutor_id: int) -> Tutor:
        anyone = self._file.anyone
        entry = self._file.tutors.get(tutor_id) or anyone[tutor_id % len(anyone)]
        model = entry.model or self._settings.llm_model(tutor_id)
        return Tutor(
            id=tutor_id,
            name=entry.name,
            language=entry.language,
            prompt=entry.prompt.replace("{name}", entry.name),
            voice=Voice(**entry.voice.model_dump(), tutor_id=tutor_id),
            face=entry.face,
            llm_app=llm_app(model, self._settings),
        )

    def face_of(self, avatar_id: str, faces: tuple[str, ...]) -> str:
        """The face an `avatar_id` of the wire means: the name of a face, or `avatar_tutor_{id}`.

        Raises `UnknownAvatar`.
        """
        if avatar_id in faces:
            return avatar_id
        if match := _AVATAR_OF_TUTOR.match(avatar_id):
            return self.get(int(match[1])).face
        raise UnknownAvatar(
            f"There is no face {avatar_id!r}. Use avatar_tutor_{{id}} or one of: "
            f"{', '.join(faces)}."
        )

    @property
    def llm_models(self) -> dict[str, str]:
        """Each application of a language model that a tutor asks for by name, with its model; the
        default one, which reads DEFAULT_LLM_MODEL by itself, is not among them."""
        entries = (*self._file.tutors.values(), *self._file.anyone)
        models = {entry.model for entry in entries if entry.model}
        models |= set(self._settings.tutor_llm_models.values())
        by_app = {llm_app(model, self._settings): model for model in sorted(models)}
        by_app.pop(DEFAULT_LLM_APP, None)
        return by_app

    @property
    def llm_apps(self) -> set[str]:
        """The applications of all language models that a tutor may need."""
        return {DEFAULT_LLM_APP, *self.llm_models}

    @property
    def faces(self) -> set[str]:
        return {entry.face for entry in (*self._file.tutors.values(), *self._file.anyone)}


def llm_app(model: str, settings: Settings) -> str:
    """Name of the Serve application that holds a language model."""
    if model == settings.default_llm_model:
        return DEFAULT_LLM_APP
    return "llm-" + re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")


def read_tutors(path: Path, settings: Settings) -> Tutors:
    """Read the file. Raises `SettingsError` with the place of what is wrong."""
    try:
        content: Any = yaml.safe_load(path.read_text("utf-8"))
        return Tutors(TutorsFile.model_validate(content), settings)
    except OSError as missing:
        raise SettingsError(f"The tutors' file {path} cannot be read: {missing}") from missing
    except yaml.YAMLError as broken:
        raise SettingsError(f"The tutors' file {path} is not YAML: {broken}") from broken
    except ValidationError as invalid:
        finding = invalid.errors(include_url=False)[0]
        place = " → ".join(str(part) for part in finding["loc"])
        raise SettingsError(f"The tutors' file {path}: {place}: {finding['msg']}") from invalid
