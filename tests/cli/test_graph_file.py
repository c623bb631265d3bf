import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.errors import WrongUsage
from cli.graph_file import (
    other_changes,
    read_graph,
    redeployed,
    resolved,
    tutors_file,
    written,
)
from serve_app.tutors import LlmModel
from serve_app.tutors_file import ModelEntry
from tests.running import PROJECT

ADDRESS = ("127.0.0.1", 9310)


@pytest.fixture
def graph() -> dict[str, Any]:
    return read_graph(PROJECT / "configs/serve.yaml")


def names(graph: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in graph["applications"]]


def test_the_address_is_that_of_the_settings(graph: dict[str, Any]) -> None:
    found = resolved(graph, ("0.0.0.0", 9310), {})
    assert found["http_options"] == {"host": "0.0.0.0", "port": 9310}
    assert found["applications"] == graph["applications"]


def test_other_http_options_are_kept(graph: dict[str, Any]) -> None:
    graph["http_options"]["keep_alive_timeout_s"] = 5
    assert resolved(graph, ADDRESS, {})["http_options"]["keep_alive_timeout_s"] == 5


def test_a_model_that_is_not_listed_gets_an_application_like_the_default(
    graph: dict[str, Any],
) -> None:
    graph["applications"][2]["deployments"][0]["max_ongoing_requests"] = 7
    found = resolved(graph, ADDRESS, {"llm-qwen3-8b": LlmModel("qwen3:8b")})
    added = found["applications"][-1]
    assert names(found) == [*names(graph), "llm-qwen3-8b"]
    assert added["args"] == {"engine": "auto", "model": "qwen3:8b"}
    assert added["route_prefix"] is None
    assert added["deployments"][0]["max_ongoing_requests"] == 7


def test_a_model_that_is_listed_is_left_as_it_is(graph: dict[str, Any]) -> None:
    listed = {**graph["applications"][2], "name": "llm-qwen3-8b", "args": {"engine": "stub"}}
    graph["applications"].append(listed)
    found = resolved(graph, ADDRESS, {"llm-qwen3-8b": LlmModel("qwen3:8b")})
    assert found["applications"] == graph["applications"]


def test_the_graph_that_was_read_is_not_changed(graph: dict[str, Any]) -> None:
    before = yaml.safe_dump(graph)
    resolved(graph, ADDRESS, {"llm-a": LlmModel("a")})["applications"][0]["name"] = "other"
    assert yaml.safe_dump(graph) == before


def test_without_a_default_there_is_nothing_to_copy(graph: dict[str, Any]) -> None:
    graph["applications"] = graph["applications"][:2]
    with pytest.raises(WrongUsage, match="llm-default"):
        resolved(graph, ADDRESS, {"llm-a": LlmModel("a")})


def test_serve_understands_what_is_written(graph: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, of what pydantic will remove one day
        from ray.serve.schema import ServeDeploySchema
    text = written(resolved(graph, ADDRESS, {"llm-a": LlmModel("a")}))
    schema = ServeDeploySchema.model_validate(yaml.safe_load(text))
    assert (schema.http_options.host, schema.http_options.port) == ADDRESS
    assert "llm-a" in [app.name for app in schema.applications]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("applications: [", "not YAML"),
        ("[]", "no named"),
        ("applications: []", "no named"),
        ("applications: [{import_path: x}]", "no named"),
    ],
)
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "graph.yaml").write_text(content)
    with pytest.raises(WrongUsage, match=says):
        read_graph(tmp_path / "graph.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"gone\.yaml cannot be read"):
        read_graph(tmp_path / "gone.yaml")


def test_the_tutors_file_is_the_gateways(graph: dict[str, Any]) -> None:
    assert tutors_file(graph) == "configs/tutors.yaml"
    graph["applications"][0]["args"]["tutors"] = "/etc/tutors.yaml"
    assert tutors_file(graph) == "/etc/tutors.yaml"
    del graph["applications"][0]["args"]
    assert tutors_file(graph) == "configs/tutors.yaml"


def as_said(graph: dict[str, Any], app: str, **said: Any) -> dict[str, Any]:
    """The application of a model that runs as the tutors' file says."""
    model = LlmModel("m", ModelEntry(**said))
    found = resolved(graph, ADDRESS, {app: model})["applications"]
    return next(entry for entry in found if entry["name"] == app)


def test_a_model_is_scaled_as_the_tutors_file_says(graph: dict[str, Any]) -> None:
    said = {"min_replicas": 0, "downscale_to_zero_delay_s": 60.0, "engine": "ollama", "gpu": 0.5}
    made = as_said(graph, "llm-m", **said)
    assert made["args"] == {"engine": "ollama", "model": "m", "gpu": 0.5}
    scaling = made["deployments"][0]["autoscaling_config"]
    default = graph["applications"][2]["deployments"][0]["autoscaling_config"]
    assert scaling == {**default, "min_replicas": 0, "downscale_to_zero_delay_s": 60.0}


def test_more_at_least_than_the_usual_most_raises_the_most(graph: dict[str, Any]) -> None:
    made = as_said(graph, "llm-m", min_replicas=6, target_ongoing_requests=50)
    deployment = made["deployments"][0]
    assert deployment["autoscaling_config"]["max_replicas"] == 6
    assert deployment["max_ongoing_requests"] == 50, "else it could never be as full as it should"


def test_the_default_model_is_scaled_so_too(graph: dict[str, Any]) -> None:
    made = as_said(graph, "llm-default", max_replicas=9)
    assert made["deployments"][0]["autoscaling_config"]["max_replicas"] == 9
    assert made["args"] == {"engine": "auto"}


def test_without_deployments_a_fixed_number_becomes_a_range(graph: dict[str, Any]) -> None:
    graph["applications"][2]["deployments"] = [{"name": "Llm", "num_replicas": 2}]
    deployment = as_said(graph, "llm-m", min_replicas=0)["deployments"][0]
    assert "num_replicas" not in deployment
    assert deployment["autoscaling_config"]["max_replicas"] == 4
    del graph["applications"][2]["deployments"]
    deployment = as_said(graph, "llm-m", min_replicas=0)["deployments"][0]
    assert (deployment["name"], deployment["autoscaling_config"]["min_replicas"]) == ("Llm", 0)


def test_an_application_that_holds_another_model_is_told(graph: dict[str, Any]) -> None:
    listed = {**graph["applications"][2], "name": "llm-m", "args": {"model": "other"}}
    graph["applications"].append(listed)
    with pytest.raises(WrongUsage, match=r"'llm-m'.*'other'.*'m'"):
        as_said(graph, "llm-m")


def test_a_redeployment_changes_language_models_only(graph: dict[str, Any]) -> None:
    running = resolved(graph, ADDRESS, {"llm-old": LlmModel("old")})
    graph["applications"][0]["args"] = {"tutors": "others.yaml"}
    now = resolved(graph, ("0.0.0.0", 1), {"llm-new": LlmModel("new")})
    made = redeployed(running, now)
    assert sorted(names(made)) == sorted([*names(graph), "llm-new"])
    assert made["http_options"] == running["http_options"]
    assert made["applications"][0] == running["applications"][0]
    assert other_changes(running, now) == ["gateway"]
    assert other_changes(running, running) == []
