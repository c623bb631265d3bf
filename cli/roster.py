"""The tutors of a file, and of the engine that reads it: shown, added and removed."""

import difflib
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.client import Client
from cli.dashboard import Application, applications
from cli.engine import Engine
from cli.errors import CommandError, WrongUsage
from cli.graph_file import read_graph, tutors_file
from cli.record import Record
from cli.redeploy import settings_of
from cli.surroundings import PROJECT, api_key
from cli.tutors_text import Entry, with_entry, without_entry, write
from engines.avatar.viseme.portrait import FACES
from engines.tts.choice import espeak_voices
from serve_app.cloned_voices import VoiceStore
from serve_app.faces import FaceNames
from serve_app.settings import Settings
from serve_app.tutor_store import given_tutors
from serve_app.tutors import Tutors, read_tutors
from serve_app.tutors_file import TutorEntry, parsed

DEFAULT_CONFIG = PROJECT / "configs" / "serve.yaml"


@dataclass(frozen=True)
class Place:
    """Which tutors' file is meant, and the engine that reads it."""

    engine: Engine
    settings: Settings
    """Those of the engine that reads it, as far as tutors are concerned."""
    file: Path
    record: Record | None
    """None: no engine of `tutor up` reads this file."""
    other: str = ""
    """The graph of an engine that runs and reads another file."""

    @property
    def faces(self) -> FaceNames:
        return FaceNames(self.settings.avatars_folder)

    def tutors(self) -> Tutors:
        """With those given over REST. Raises `SettingsError`."""
        tutors = read_tutors(self.file, self.settings, self.faces)
        tutors.give(given_tutors(self.settings.database))
        return tutors


def place(settings: Settings, config: Path | None) -> Place:
    """The file that the engine that runs has been started with, or else that of a graph. Raises
    `WrongUsage`."""
    engine = Engine(settings)
    record = engine.files.running()
    if record is not None and (config is None or config.resolve() == Path(record.config)):
        file = tutors_file(read_graph(engine.files.graph_file))
        return Place(engine, settings_of(record, settings), PROJECT / file, record)
    file = tutors_file(read_graph(config or DEFAULT_CONFIG))
    return Place(engine, settings, PROJECT / file, None, record.config if record else "")


# ── showing ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Row:
    """One tutor, with how the application of its language model is."""

    id: int | None
    """None: one of those who stand in for all others."""
    name: str
    language: str | None
    model: str
    application: str
    state: str | None
    """Serve's word; None: no engine runs. `NOT DEPLOYED`: the default model answers."""
    replicas: dict[str, int]
    voice: str
    face: str
    face_is_missing: bool
    """A drawn one stands in for it."""
    kb: str | None


def rows(where: Place) -> list[Row]:
    """Raises `SettingsError`."""
    tutors = where.tutors()
    apps, faces = _applications(where), where.faces
    named = [_row(tutors, id, entry, apps, faces) for id, entry in tutors.named.items()]
    return named + [_row(tutors, None, entry, apps, faces) for entry in tutors.file.anyone]


def _applications(where: Place) -> dict[str, Application] | None:
    """None: nobody tells."""
    url = where.engine.dashboard_of(where.record) if where.record else None
    found = applications(url) if url else None
    return None if found is None else {app.name: app for app in found}


def _row(
    tutors: Tutors,
    id: int | None,
    entry: TutorEntry,
    apps: dict[str, Application] | None,
    faces: Collection[str],
) -> Row:
    model = tutors.model(-1 if id is None else id, entry)
    name = tutors.app(model)
    app = apps.get(name) if apps is not None else None
    state = None if apps is None else app.status if app else "NOT DEPLOYED"
    return Row(
        id,
        entry.name,
        entry.language,
        model,
        name,
        state,
        dict(app.replicas) if app else {},
        entry.voice.name,
        entry.face,
        entry.face not in faces,
        entry.kb,
    )


# ── changing ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class NewTutor:
    id: int
    entry: Entry
    """As it will stand in the file; a face that is not given is chosen."""
    model_entry: Entry
    """How its language model runs; empty: as the file says already, or as `llm-default`."""
    replace: bool = False


def add(where: Place, new: NewTutor) -> None:
    """Write a tutor into the file. Raises `CommandError` or `SettingsError`; then nothing has
    changed."""
    known = where.tutors().file.tutors
    if new.id in known and not new.replace:
        raise WrongUsage(
            f"There is a tutor {new.id} already: {known[new.id].name}.",
            "Give another id, or --replace.",
        )
    entry = {**new.entry, "face": new.entry.get("face") or FACES[new.id % len(FACES)]}
    demand_voice(where, (entry.get("voice") or {}).get("name", ""))
    changes = [lambda text: with_entry(text, "tutors", new.id, entry)]
    if new.model_entry:
        model = str(new.entry["model"])
        changes.append(lambda text: with_entry(text, "models", model, new.model_entry))
    _change(where, changes)


def remove(where: Place, tutor_id: int) -> str:
    """Take a tutor out of the file; its name. Raises `CommandError` or `SettingsError`."""
    known = where.tutors().file.tutors
    if tutor_id not in known:
        ids = ", ".join(map(str, known)) or "none"
        raise WrongUsage(f"There is no tutor {tutor_id} in {where.file}; there are {ids}.")
    _change(where, [lambda text: without_entry(text, "tutors", tutor_id)])
    return known[tutor_id].name


def _change(where: Place, changes: Iterable[Callable[[str], str]]) -> None:
    text = where.file.read_text("utf-8")
    for change in changes:
        text = change(text)
    parsed(text, str(where.file), where.faces)  # nothing is written that would be complained of
    write(where.file, text)


# ── voices ───────────────────────────────────────────────────────────────────────────────────────


def demand_voice(where: Place, name: str) -> None:
    """Raises `WrongUsage` for a voice that is known not to be there."""
    known = voices(where) if name else None
    if known and name not in known:
        close = difflib.get_close_matches(name, known, 5, 0.5) or sorted(known)[:10]
        raise WrongUsage(
            f"There is no voice {name!r}.",
            f"Such as {', '.join(close)}; `GET /v1/voices` of the engine lists all.",
        )


def voices(where: Place) -> set[str]:
    """Names of those there are, as far as can be known; empty when it cannot."""
    if where.record is not None:
        with suppress(CommandError), Client(where.record.url, _key(where)) as client:
            return {voice.name for voice in client.voices()}
    if where.settings.tts_model:
        return set()  # only the loaded model knows its voices
    store = VoiceStore(where.settings.tutor_home / "voices")
    return {voice.name for voice in espeak_voices()} | {voice.name for voice in store.voices()}


def _key(where: Place) -> str | None:
    return api_key(where.settings, None)


def as_json(where: Place, found: list[Row]) -> dict[str, Any]:
    listed = [{name: getattr(row, name) for name in Row.__annotations__} for row in found]
    return {
        "file": str(where.file),
        "running": where.record is not None,
        "tutors": [row for row in listed if row["id"] is not None],
        "anyone": [row for row in listed if row["id"] is None],
    }
