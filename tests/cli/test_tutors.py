"""`tutor tutors` on files, and on engines that are there in name only; a real one is in
tests/cluster/test_autoscaling.py."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from cli import roster
from cli.engine import Engine
from cli.redeploy import settings_of
from cli.surroundings import settings_in_force
from deployments.llm import LlmArgs
from engines.base import Audio, Outside
from serve_app.cloned_voices import ClonedVoice, VoiceStore
from serve_app.store import open_database
from serve_app.tutor_store import TutorStore
from serve_app.tutors_file import ModelEntry, TutorEntry
from tests.cli.conftest import Tutor
from tests.cli.test_record import leader
from tests.running import PROJECT


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tutors' file that the graph of this test names."""
    path = tmp_path / "tutors.yaml"
    path.write_text((PROJECT / "configs/tutors.yaml").read_text("utf-8"))
    graph = yaml.safe_load((PROJECT / "configs/serve.yaml").read_text())
    graph["applications"][0]["args"] = {"tutors": str(path)}
    config = tmp_path / "serve.yaml"
    config.write_text(yaml.safe_dump(graph))
    monkeypatch.setattr(roster, "DEFAULT_CONFIG", config)
    return path


def content(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return found


def test_the_list_is_the_files(file: Path, tutor: Tutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTOR_2_LLM_MODEL", "qwen2.5:7b")
    shown = tutor("tutors", "list")
    assert shown.exit_code == 0, shown.output
    assert f"File: {file}" in shown.stdout
    assert "NOT DEPLOYED" not in shown.stdout
    found = json.loads(tutor("tutors", "list", "--json").stdout)
    assert [each["id"] for each in found["tutors"]] == [1, 2, 3]
    assert found["tutors"][1] == {
        "id": 2,
        "name": "Anna",
        "language": None,
        "model": "qwen2.5:7b",
        "application": "llm-qwen2-5-7b",
        "state": None,
        "replicas": {},
        "voice": "f2",
        "face": "anna",
        "face_is_missing": False,
        "kb": None,
    }
    assert [each["face"] for each in found["anyone"]] == ["anna", "david", "mei"]
    assert not found["running"]


def test_a_tutor_is_added_with_all_that_it_is(file: Path, tutor: Tutor, tmp_path: Path) -> None:
    before = file.read_text("utf-8")
    (tmp_path / "prompt.txt").write_text("Tu es {name}.\nTu parles français.\n")
    done = tutor(
        *("tutors", "add", "7", "--name", "Émile", "--language", "fr", "--voice-language", "fr"),
        *("--model", "mistral:7b", "--face", "david", "--kb", "kb-1", "--voice", "m3"),
        *("--prompt-file", str(tmp_path / "prompt.txt"), "--min-replicas", "0", "--gpu", "0.3"),
        *("--outside", "general"),
    )
    assert done.exit_code == 0, done.output
    assert "`tutor up` deploys it" in done.stdout
    assert content(file)["tutors"][7] == {
        "name": "Émile",
        "language": "fr",
        "model": "mistral:7b",
        "voice": {"name": "m3", "language": "fr"},
        "face": "david",
        "kb": "kb-1",
        "outside": "general",
        "prompt": "Tu es {name}.\nTu parles français.",
    }
    assert content(file)["models"] == {"mistral:7b": {"gpu": 0.3, "min_replicas": 0}}
    kept = file.read_text("utf-8").splitlines()
    assert [line for line in before.splitlines() if line not in kept] == []
    assert tutor("tutors", "remove", "7").exit_code == 0
    assert 7 not in content(file)["tutors"]


@pytest.mark.parametrize("outside", get_args(Outside))
def test_what_is_outside_the_course_can_be_said_in_each_way(
    file: Path, tutor: Tutor, outside: str
) -> None:
    done = tutor("tutors", "add", "7", "--name", "X", "--kb", "weather", "--outside", outside)
    assert done.exit_code == 0, done.output
    assert content(file)["tutors"][7]["outside"] == outside


def test_a_face_is_chosen_by_turns(file: Path, tutor: Tutor) -> None:
    for tutor_id in (6, 7, 8):
        assert tutor("tutors", "add", str(tutor_id), "--name", "X").exit_code == 0
    faces = {content(file)["tutors"][tutor_id]["face"] for tutor_id in (6, 7, 8)}
    assert faces == {"mei", "anna", "david"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["2", "--name", "X"], "There is a tutor 2 already: Anna."),
        (["7", "--name", "X", "--face", "bob"], "there is no face 'bob'"),
        (["7", "--name", "X", "--language", "french"], "language"),
        (["7", "--name", "X", "--voice", "nobody"], "There is no voice 'nobody'"),
        (["7", "--name", "X", "--prompt", "a", "--prompt-file", "FILE"], "not both"),
        (["7", "--name", "X", "--min-replicas", "0"], "--model"),
        (["7", "--name", "X", "--outside", "guess"], "'say_so', 'general'"),
        (["7", "--name", "X", "--model", "a", "--llm-engine", "magic"], "engine"),
        (["7", "--name", ""], "name"),
        (["7"], "--name"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    arguments: list[str], told: str, file: Path, tutor: Tutor
) -> None:
    before = file.read_text("utf-8")
    done = tutor("tutors", "add", *[str(file) if a == "FILE" else a for a in arguments])
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.output
    assert file.read_text("utf-8") == before


def test_one_that_is_there_is_replaced_when_wanted(file: Path, tutor: Tutor) -> None:
    assert tutor("tutors", "add", "2", "--name", "Ann", "--replace").exit_code == 0
    assert content(file)["tutors"][2] == {"name": "Ann", "face": "david"}
    assert list(content(file)["tutors"]) == [1, 2, 3]


def test_a_cloned_voice_is_known(file: Path, tutor: Tutor, home: Path) -> None:
    recording = Audio(np.zeros(16_000, np.int16), 16_000)
    VoiceStore(home / "voices").add(ClonedVoice("Grandma", None), recording)
    assert tutor("tutors", "add", "7", "--name", "X", "--voice", "Grandma").exit_code == 0


def test_a_voice_that_nobody_can_know_of_is_taken(
    file: Path, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_MODEL", "/models/xtts")
    assert tutor("tutors", "add", "7", "--name", "X", "--voice", "Ana Florence").exit_code == 0


def test_the_environment_that_goes_first_is_told(
    file: Path, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTOR_7_LLM_MODEL", "other:1")
    done = tutor("tutors", "add", "7", "--name", "X", "--model", "own:1")
    assert "TUTOR_7_LLM_MODEL is set, and goes first: its model is other:1." in done.stdout


def test_one_that_is_not_there_cannot_be_removed(file: Path, tutor: Tutor) -> None:
    done = tutor("tutors", "remove", "9")
    assert done.exit_code == 2
    assert "There is no tutor 9" in done.stderr
    assert "1, 2, 3" in done.stderr


def test_without_an_engine_there_is_nothing_to_deploy(file: Path, tutor: Tutor) -> None:
    done = tutor("tutors", "deploy")
    assert done.exit_code == 2
    assert "`tutor up` deploys the file" in done.stderr


def test_the_engine_that_runs_says_which_file_is_meant(
    file: Path, tutor: Tutor, tmp_path: Path
) -> None:
    others, config = tmp_path / "others.yaml", tmp_path / "other_graph.yaml"
    others.write_text("anyone: [{face: mei}]\n")
    config.write_text(f"applications: [{{name: gateway, args: {{tutors: {others}}}}}]")
    files = Engine(settings_in_force()).files
    files.create()
    with leader("sleep", "60") as (_, record):
        files.write(replace(record, config=str(config)))
        files.graph_file.write_text(config.read_text())
        assert json.loads(tutor("tutors", "list", "--json").stdout)["file"] == str(others)
        # Another graph's file is written only when it is asked for, and its engine left alone.
        named = ["--config", str(roster.DEFAULT_CONFIG)]
        done = tutor("tutors", "add", "7", "--name", "X", *named)
        assert done.exit_code == 0, done.output
        assert f"was started with {config}: it is left alone" in done.stdout
        assert 7 in content(file)["tutors"]
        done = tutor("tutors", "add", "7", "--name", "X", "--no-deploy", "--config", str(config))
        assert "tutor tutors deploy" in done.stdout
        assert 7 in content(others)["tutors"]


def test_an_engine_without_a_dashboard_is_told_after_the_file_is_written(
    file: Path, tutor: Tutor
) -> None:
    files = Engine(settings_in_force()).files
    files.create()
    with leader("sleep", "60") as (_, record):
        files.write(replace(record, config=str(roster.DEFAULT_CONFIG)))
        files.graph_file.write_text(roster.DEFAULT_CONFIG.read_text())
        done = tutor("tutors", "add", "7", "--name", "X", "--model", "own:1")
    assert done.exit_code == 1
    assert "dashboard" in done.stderr
    assert "tutor restart" in done.stderr
    assert 7 in content(file)["tutors"]


def test_models_are_those_that_the_engine_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_LLM_MODEL", "then:1")
    monkeypatch.setenv("TUTOR_4_LLM_MODEL", "then:4")
    with leader("sleep", "60") as (_, record):
        monkeypatch.setenv("DEFAULT_LLM_MODEL", "now:1")
        monkeypatch.delenv("TUTOR_4_LLM_MODEL")
        settings = settings_of(record, settings_in_force())
    assert settings.default_llm_model == "then:1"
    assert settings.tutor_llm_models == {4: "then:4"}


def test_the_file_knows_the_engines_that_there_are() -> None:
    listed = get_args(ModelEntry.model_fields["engine"].annotation)[0]
    assert set(get_args(listed)) == set(get_args(LlmArgs.model_fields["engine"].annotation))


async def test_tutors_given_over_rest_are_listed_and_their_models_known(
    file: Path, tutor: Tutor
) -> None:
    settings = settings_in_force()
    async with open_database(settings.database) as database:
        given = TutorEntry(name="Ada", face="mei", model="own:1")
        await TutorStore(database).put(2, given)
        await TutorStore(database).put(4001, given)
    listed = json.loads(tutor("tutors", "list", "--json").stdout)["tutors"]
    assert {each["id"]: each["name"] for each in listed} == {
        1: "梅老师",
        2: "Ada",
        3: "David",
        4001: "Ada",
    }
    assert listed[-1]["application"] == "llm-own-1"
    where = roster.place(settings, None)
    assert set(where.tutors().llm_models) == {"llm-own-1"}, "what `deploy` and `up` start"
    assert "own:1" not in str(content(file))
