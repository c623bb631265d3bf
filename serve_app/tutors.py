"""Who the tutors are: those given over REST, then `configs/tutors.yaml`, with the models that the
environment names, and all that as it changes."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ConfigDict

from engines.avatar.viseme.portrait import FACES
from engines.base import Outside, Vocabulary, Voice
from engines.errors import UnknownAvatar
from foundation.settings import SettingsError
from serve_app.settings import Settings
from serve_app.tutors_file import ModelEntry, TutorEntry, TutorsFile, TutorsSource

logger = logging.getLogger(__name__)

DEFAULT_LLM_APP = "llm-default"
"""The Serve application that holds `DEFAULT_LLM_MODEL`."""

LOOK_INTERVAL_S = 1.0
"""How soon a change of the file is in force; a look costs one `stat`."""

AVATAR_OF_TUTOR = re.compile(r"^avatar_tutor_(\d+)$")


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
    vocabulary: Vocabulary = ()
    """Of its course; a hint for the recogniser."""
    kb: str | None = None
    """Its knowledge base, for sessions that name none of their own."""
    outside: Outside = "say_so"


@dataclass(frozen=True, slots=True)
class LlmModel:
    """A language model, and how its application runs."""

    name: str
    entry: ModelEntry = ModelEntry()


class Tutors:
    """All tutors by id; an id that nobody has named gets one of the file's stand-ins."""

    def __init__(self, source: TutorsSource, settings: Settings) -> None:
        """Raises `SettingsError` when the file is wrong."""
        self._source = source
        self._settings = settings
        self._given: Mapping[int, TutorEntry] = {}
        self._take(source.read())

    def _take(self, file: TutorsFile) -> None:
        self._file = file
        self._apps = llm_apps(self._models(), self._settings.default_llm_model)

    def give(self, entries: Mapping[int, TutorEntry]) -> None:
        """From now on these go before the file; those given before are taken back."""
        self._given = dict(entries)
        self._apps = llm_apps(self._models(), self._settings.default_llm_model)

    async def follow(self) -> NoReturn:
        """Take over each change of the file; a wrong one is logged, and the old one stays."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            try:
                file = await asyncio.to_thread(self._source.news)
            except SettingsError as wrong:
                logger.error("%s The tutors stay as they were; mend the file.", wrong)
                continue
            if file is not None:
                self._take(file)
                logger.info("The tutors are now those of %s.", self._source.path)

    def get(self, tutor_id: int) -> Tutor:
        entry = self.entry(tutor_id)
        return Tutor(
            id=tutor_id,
            name=entry.name,
            language=entry.language,
            prompt=entry.prompt.replace("{name}", entry.name),
            voice=Voice(**entry.voice.model_dump(), tutor_id=tutor_id),
            face=entry.face,
            llm_app=self._apps[self.model(tutor_id, entry)],
            vocabulary=entry.vocabulary,
            kb=entry.kb,
            outside=entry.outside,
        )

    def entry(self, tutor_id: int) -> TutorEntry:
        """What is said of a tutor, or of the one that stands in for it."""
        anyone = self._file.anyone
        named = self._given.get(tutor_id) or self._file.tutors.get(tutor_id)
        return named or anyone[tutor_id % len(anyone)]

    def model(self, tutor_id: int, entry: TutorEntry) -> str:
        """The language model in force: the environment's word comes before the entry's."""
        own = self._settings.tutor_llm_models.get(tutor_id) or entry.model
        return own or self._settings.default_llm_model

    @property
    def file(self) -> TutorsFile:
        return self._file

    @property
    def named(self) -> dict[int, TutorEntry]:
        """All but the stand-ins, by their id."""
        return dict(sorted({**self._file.tutors, **self._given}.items()))

    def is_given(self, tutor_id: int) -> bool:
        """Whether REST has named this tutor."""
        return tutor_id in self._given

    def app(self, model: str) -> str:
        """The application of a language model that some tutor uses."""
        return self._apps[model]

    def wearers(self, face: str) -> list[str]:
        """Names of the tutors who have this face."""
        entries = (*self.named.values(), *self._file.anyone)
        return [entry.name for entry in entries if entry.face == face]

    def face_of(self, avatar_id: str, faces: Collection[str]) -> str:
        """The face an `avatar_id` of the wire means: the name of a face, or `avatar_tutor_{id}`.

        Raises `UnknownAvatar`.
        """
        if avatar_id in faces:
            return avatar_id
        if match := AVATAR_OF_TUTOR.match(avatar_id):
            return self.get(int(match[1])).face
        raise UnknownAvatar(
            f"There is no face {avatar_id!r}. Use avatar_tutor_{{id}}, the name of a prepared one, "
            f"or one of: {', '.join(FACES)}."
        )

    @property
    def llm_models(self) -> dict[str, LlmModel]:
        """Each application of a language model, with its model and how it runs; the default one,
        which reads DEFAULT_LLM_MODEL by itself, is there only when the file says how it runs."""
        listed = self._file.models
        models = {app: LlmModel(m, listed.get(m, ModelEntry())) for m, app in self._apps.items()}
        if self._settings.default_llm_model not in listed:
            del models[DEFAULT_LLM_APP]
        return models

    @property
    def llm_apps(self) -> set[str]:
        """The applications of all language models that a tutor may need."""
        return set(self._apps.values())

    def _models(self) -> Iterator[str]:
        """Every model that a tutor asks for: in the order of the file, the given ones last, so
        that they change no name of the others' applications."""
        for tutor_id, entry in self._file.tutors.items():
            if tutor_id not in self._given:
                yield self.model(tutor_id, entry)
        for entry in self._file.anyone:
            if entry.model:
                yield entry.model
        yield from (model for _, model in sorted(self._settings.tutor_llm_models.items()))
        for tutor_id, entry in sorted(self._given.items()):
            yield self.model(tutor_id, entry)


def llm_apps(models: Iterable[str], default: str) -> dict[str, str]:
    """The Serve application of each language model, named after it. Two models whose names would
    give the same application are told apart: the later one's gets some letters more."""
    apps = {default: DEFAULT_LLM_APP}
    for model in models:
        if model not in apps:
            apps[model] = _app(model, set(apps.values()))
    return apps


def _app(model: str, taken: Collection[str]) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    if words and f"llm-{words}" not in taken:
        return f"llm-{words}"
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return "-".join(filter(None, ("llm", words, digest)))


def read_tutors(path: Path, settings: Settings, faces: Collection[str] = ()) -> Tutors:
    """Read the file; each face must be one of `faces`, unless there are none.

    Raises `SettingsError` with the place of what is wrong.
    """
    return Tutors(TutorsSource(path, faces), settings)
