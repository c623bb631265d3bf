"""`tutor up` on a machine whose GPUs are too few; Ray is told of them by its own variable."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.gpus import demand_room, lack_under_load
from tests.cli.conftest import Tutor
from tests.running import graph


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", json.dumps({"GPU": 1}))


def too_large(gpu: float = 0.6) -> dict[str, Any]:
    config = graph(9000)
    for app in config["applications"]:
        if app["name"] in ("asr", "tts"):
            app["args"]["gpu"] = gpu
    return config


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize(("gpu", "says"), [(0.6, "no room for"), (7, "`gpu: 7` of the app")])
def test_shares_that_do_not_fit_are_refused_and_nothing_is_started(
    gpu: float, says: str, tutor: Tutor, tmp_path: Path, home: Path
) -> None:
    (tmp_path / "configs").mkdir()
    tutors = "anyone: [{face: anna}]"
    (tmp_path / "configs/tutors.yaml").write_text(tutors)
    (tmp_path / "graph.yaml").write_text(yaml.safe_dump(too_large(gpu)))
    result = tutor("up", "--config", "graph.yaml")
    assert result.exit_code == 2
    assert says in result.stderr
    assert "configs/serve.yaml" in result.stderr
    assert "Traceback" not in result.output
    assert not (home / "run" / "serve.yaml").exists()


@pytest.mark.usefixtures("one_gpu")
def test_what_fits_only_without_load_is_noted() -> None:
    demand_room(graph(9000))
    assert "max_replicas" in (lack_under_load(graph(9000)) or "")


@pytest.mark.usefixtures("one_gpu")
def test_another_cluster_is_not_judged_by_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray.example.org:6379")
    demand_room(too_large())


@pytest.mark.usefixtures("one_gpu")
def test_contradicting_settings_are_left_to_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    demand_room(too_large())


def test_without_a_gpu_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", json.dumps({"GPU": 0}))
    demand_room(too_large())
    assert lack_under_load(too_large()) is None
