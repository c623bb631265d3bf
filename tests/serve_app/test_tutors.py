import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from engines.errors import UnknownAvatar
from foundation.settings import SettingsError
from serve_app import tutors as tutors_module
from serve_app.settings import Settings
from serve_app.tutors import Tutors, llm_apps, read_tutors
from serve_app.tutors_file import ModelEntry
from tests.running import PROJECT, eventually

FACES = ("mei", "anna", "david")


@pytest.fixture
def tutors(tmp_path: Path) -> Tutors:
    models = {2: "llama3.1:8b-instruct-q4_K_M"}
    settings = Settings(tutor_home=tmp_path, tutor_llm_models=models)
    return read_tutors(PROJECT / "configs/tutors.yaml", settings)


def test_a_named_tutor_is_as_the_file_says(tutors: Tutors) -> None:
    mei = tutors.get(1)
    assert (mei.name, mei.face, mei.voice.pitch) == ("梅老师", "mei", 1.1)
    assert "{name}" not in mei.prompt


def test_every_other_tutor_has_a_stand_in(tutors: Tutors) -> None:
    assert {tutors.get(id).face for id in range(100, 103)} == set(FACES)
    assert tutors.get(10**18).face in FACES


def test_a_tutor_with_its_own_model_has_its_own_application(tutors: Tutors) -> None:
    assert tutors.get(1).llm_app == "llm-default"
    assert tutors.get(2).llm_app == "llm-llama3-1-8b-instruct-q4-k-m"
    assert tutors.llm_apps == {"llm-default", "llm-llama3-1-8b-instruct-q4-k-m"}


def test_each_model_that_is_asked_for_by_name_has_one_application(tmp_path: Path) -> None:
    file = tmp_path / "tutors.yaml"
    file.write_text(
        """
        tutors:
          1: {face: anna, model: "own:1"}
          2: {face: anna}
        anyone: [{face: anna, model: "own:2"}, {face: anna}]
        """
    )
    settings = Settings(
        default_llm_model="default", tutor_llm_models={2: "set:2", 3: "default", 9: "own:1"}
    )
    models = read_tutors(file, settings).llm_models
    assert {app: model.name for app, model in models.items()} == {
        "llm-own-1": "own:1",
        "llm-own-2": "own:2",
        "llm-set-2": "set:2",
    }


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tutors.yaml"
    file.write_text("tutors: {1: {face: anna, model: 'own:1'}}\nanyone: [{face: anna}]")
    tutors = read_tutors(file, Settings(tutor_llm_models={1: "set:1"}))
    assert tutors.get(1).llm_app == "llm-set-1"
    assert set(tutors.llm_models) == {"llm-set-1"}


def test_a_model_runs_as_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "tutors.yaml"
    file.write_text(
        """
        tutors: {1: {face: anna, model: "own:1", kb: kb-7, outside: general}}
        anyone: [{face: anna}]
        models:
          "own:1": {min_replicas: 0, engine: ollama}
          unused: {gpu: 0.5}
        """
    )
    tutors = read_tutors(file, Settings(default_llm_model="usual"))
    assert tutors.get(1).kb == "kb-7"
    assert (tutors.get(1).outside, tutors.get(2).outside) == ("general", "say_so")
    assert {app: model.entry for app, model in tutors.llm_models.items()} == {
        "llm-own-1": ModelEntry(min_replicas=0, engine="ollama")
    }
    default = read_tutors(file, Settings(default_llm_model="unused"))
    assert default.llm_models["llm-default"].entry == ModelEntry(gpu=0.5)


def test_models_of_similar_names_have_applications_of_their_own() -> None:
    models = ["qwen3:8b", "qwen3-8b", "Qwen3_8B", "default", "模型", "usual"]
    apps = llm_apps(models, "usual")
    assert len(set(apps.values())) == len(models)
    assert apps["qwen3:8b"] == "llm-qwen3-8b"
    assert apps["usual"] == "llm-default"
    assert all(app.isascii() and app.startswith("llm-") for app in apps.values())
    assert llm_apps([*models, "qwen3.8b"], "usual").items() > apps.items(), "names do not change"


# ── while the file changes ───────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def followed(file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tutors]:
    monkeypatch.setattr(tutors_module, "LOOK_INTERVAL_S", 0.02)
    tutors = read_tutors(file, Settings(default_llm_model="usual"), FACES)
    following = asyncio.create_task(tutors.follow())
    try:
        yield tutors
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def rewrite(file: Path, content: str) -> None:
    """As editors and the command do: the new file comes all at once."""
    (new := file.with_name("new")).write_text(content)
    os.replace(new, file)


async def test_a_change_of_the_file_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tutors.yaml"
    file.write_text("anyone: [{face: anna, name: Old}]")
    async with followed(file, monkeypatch) as tutors:
        rewrite(file, "tutors: {7: {face: mei, model: 'm:1'}}\nanyone: [{face: anna, name: New}]")
        await eventually(lambda: tutors.get(1).name == "New")
        assert tutors.get(7).llm_app == "llm-m-1"
        assert tutors.llm_apps == {"llm-default", "llm-m-1"}


@pytest.mark.parametrize(
    ("content", "told"),
    [("anyone: [", "not YAML"), ("anyone: [{voice: {}}]", "face"), (None, "cannot be read")],
)
async def test_a_wrong_file_is_told_once_and_the_old_one_stays(
    content: str | None,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "tutors.yaml"
    file.write_text("anyone: [{face: anna, name: Old}]")
    async with followed(file, monkeypatch) as tutors:
        if content is None:
            file.unlink()
        else:
            rewrite(file, content)
        await eventually(lambda: told in caplog.text)
        assert tutors.get(1).name == "Old"
        rewrite(file, "anyone: [{face: anna, name: New}]")
        await eventually(lambda: tutors.get(1).name == "New")
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1


def test_a_missing_face_is_logged_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tutors.yaml"
    file.write_text("anyone: [{face: bob}]")
    tutors = read_tutors(file, Settings(tutor_home=tmp_path), FACES)
    assert tutors.get(1).face == "bob"
    assert "there is no face 'bob'; there are mei, anna, david" in caplog.text


def test_an_avatar_id_is_a_face_or_a_tutors(tutors: Tutors) -> None:
    assert tutors.face_of("david", FACES) == "david"
    assert tutors.face_of("avatar_tutor_1", FACES) == "mei"
    assert tutors.face_of("avatar_tutor_13", FACES) in FACES
    with pytest.raises(UnknownAvatar, match="mei, anna, david"):
        tutors.face_of("nobody", FACES)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("tutors: {1: {face: mei}}", "anyone"),
        ("anyone: [{face: mei, colour: red}]", "colour"),
        ("anyone: [{face: mei, voice: {rate: 9}}]", "rate"),
        ("anyone: [", "not YAML"),
        ("", "Input should be"),
        (
            "anyone: [{face: mei}]\nmodels: {a: {min_replicas: 3, max_replicas: 2}}",
            "models → a: min",
        ),
        ("anyone: [{face: mei}]\nmodels: {a: {engine: magic}}", "engine"),
        ("anyone: [{face: mei, kb: ''}]", "kb"),
        ("anyone: [{face: mei, outside: silence}]", "outside"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "tutors.yaml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=told):
        read_tutors(file, Settings(tutor_home=tmp_path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gone.yaml"):
        read_tutors(tmp_path / "gone.yaml", Settings(tutor_home=tmp_path))


def test_who_wears_a_face_is_known(tutors: Tutors) -> None:
    assert "梅老师" in tutors.wearers("mei")
    assert tutors.wearers("Rosa") == []
