"""configs/serve.yaml as `tutor up` runs it: at the address of the settings, and with an application
for each language model that a tutor uses."""

import copy
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from cli.errors import WrongUsage
from serve_app.tutors import DEFAULT_LLM_APP, LlmModel
from serve_app.tutors_file import ModelEntry

Graph = dict[str, Any]

DEFAULT_TUTORS = "configs/tutors.yaml"

LLM_DEPLOYMENT = "Llm"
MODEL_SCALING = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 8,
    "upscale_delay_s": 10,
    "downscale_delay_s": 300,
}
"""Of a model of which neither file says more; as configs/serve.yaml has it for `llm-default`."""
MOST_ONGOING = 32


def read_graph(path: Path) -> Graph:
    """Raises `WrongUsage` when this is not a file of Serve applications."""
    try:
        graph = yaml.safe_load(path.read_text("utf-8"))
    except OSError as missing:
        raise WrongUsage(
            f"The graph {path} cannot be read: {missing.strerror}.", "Give a file with --config."
        ) from missing
    except yaml.YAMLError as broken:
        raise WrongUsage(f"The graph {path} is not YAML: {broken}") from broken
    applications = graph.get("applications") if isinstance(graph, dict) else None
    named = isinstance(applications, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in applications
    )
    if not applications or not named:
        raise WrongUsage(f"The graph {path} lists no named `applications`.")
    checked: Graph = graph
    return checked


def tutors_file(graph: Graph) -> str:
    """The tutors' file that the gateway of this graph reads."""
    for entry in graph["applications"]:
        if tutors := (entry.get("args") or {}).get("tutors"):
            return str(tutors)
    return DEFAULT_TUTORS


def resolved(graph: Graph, address: tuple[str, int], models: Mapping[str, LlmModel]) -> Graph:
    """The graph at this address, with an application for each of the language models, which run as
    the tutors' file says."""
    result = copy.deepcopy(graph)
    host, port = address
    result["http_options"] = {**(result.get("http_options") or {}), "host": host, "port": port}
    listed = {entry["name"]: entry for entry in result["applications"]}
    pattern = copy.deepcopy(listed.get(DEFAULT_LLM_APP))
    for app in sorted(models):
        if app not in listed:
            listed[app] = _application(app, models[app].name, pattern)
            result["applications"].append(listed[app])
        _demand_same_model(listed[app], models[app].name)
        _run_as(listed[app], models[app].entry)
    return result


def redeployed(running: Graph, now: Graph) -> Graph:
    """What runs, with the language models of `now`: all else is left as it is, because a change of
    the gateway would cut its sockets."""
    kept = [entry for entry in running["applications"] if not _is_llm(entry)]
    models = [entry for entry in now["applications"] if _is_llm(entry)]
    return {**running, "applications": kept + models}


def other_changes(running: Graph, now: Graph) -> list[str]:
    """Applications, but for language models, that would not be the same after a restart."""
    before, after = _others(running), _others(now)
    return sorted(name for name in before | after if before.get(name) != after.get(name))


def _others(graph: Graph) -> dict[str, Graph]:
    return {entry["name"]: entry for entry in graph["applications"] if not _is_llm(entry)}


def _is_llm(entry: Graph) -> bool:
    return bool(entry["name"].startswith("llm-"))


def _application(app: str, model: str, pattern: Graph | None) -> Graph:
    if pattern is None:
        raise WrongUsage(
            f"The graph has no application {DEFAULT_LLM_APP!r} that {app!r} could be made after.",
            "Add one, as in configs/serve.yaml.",
        )
    entry = copy.deepcopy(pattern)
    return {**entry, "name": app, "args": {**(entry.get("args") or {}), "model": model}}


def _demand_same_model(entry: Graph, model: str) -> None:
    listed = (entry.get("args") or {}).get("model", model)
    if listed != model and entry["name"] != DEFAULT_LLM_APP:
        raise WrongUsage(
            f"The application {entry['name']!r} of the graph holds the model {listed!r}; a tutor "
            f"asks for {model!r}, whose application has the same name.",
            "Give one of the two another name.",
        )


def _run_as(entry: Graph, model: ModelEntry) -> None:
    """Put what the tutors' file says of a model over what the graph says."""
    said = model.model_dump(exclude_none=True)
    args = {name: said.pop(name) for name in ("engine", "gpu") if name in said}
    entry["args"] = {**(entry.get("args") or {}), **args}
    if not said:
        return
    deployments = entry.setdefault("deployments", [])
    if not deployments:
        deployments.append({"name": LLM_DEPLOYMENT})
    deployment = deployments[0]
    deployment.pop("num_replicas", None)  # Serve takes one of the two only
    scaling = {**MODEL_SCALING, **(deployment.get("autoscaling_config") or {}), **said}
    scaling["max_replicas"] = max(scaling["max_replicas"], scaling["min_replicas"], 1)
    deployment["autoscaling_config"] = scaling
    # A replica that may not take so many at once would never be as full as it should be.
    most = deployment.get("max_ongoing_requests", MOST_ONGOING)
    deployment["max_ongoing_requests"] = max(most, ceil(scaling["target_ongoing_requests"]))


def written(graph: Graph) -> str:
    return "# Written by `tutor`, at every start anew; change configs/serve.yaml instead.\n" + (
        yaml.safe_dump(graph, sort_keys=False, allow_unicode=True)
    )
