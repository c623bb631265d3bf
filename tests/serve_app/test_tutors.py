from pathlib import Path

import pytest

from deployments.settings import SettingsError
from engines.errors import UnknownAvatar
from serve_app.settings import Settings
from serve_app.tutors import Tutors, read_tutors
from tests.running import PROJECT

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
    assert models == {"llm-own-1": "own:1", "llm-own-2": "own:2", "llm-set-2": "set:2"}


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
