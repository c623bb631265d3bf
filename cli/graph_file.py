"""configs/serve.yaml as `tutor up` runs it: at the address of the settings, and with an application
for each language model that a tutor uses."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cli.errors import WrongUsage
from serve_app.tutors import DEFAULT_LLM_APP

Graph = dict[str, Any]

DEFAULT_TUTORS = "configs/tutors.yaml"


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


def resolved(graph: Graph, address: tuple[str, int], models: Mapping[str, str]) -> Graph:
    """The graph at this address, with the language models (by application) that it lacks."""
    result = copy.deepcopy(graph)
    host, port = address
    result["http_options"] = {**(result.get("http_options") or {}), "host": host, "port": port}
    listed = {entry["name"]: entry for entry in result["applications"]}
    for app in sorted(models.keys() - listed.keys()):
        result["applications"].append(_application(app, models[app], listed.get(DEFAULT_LLM_APP)))
    return result


def _application(app: str, model: str, pattern: Graph | None) -> Graph:
    if pattern is None:
        raise WrongUsage(
            f"The graph has no application {DEFAULT_LLM_APP!r} that {app!r} could be made after.",
            "Add one, as in configs/serve.yaml.",
        )
    entry = copy.deepcopy(pattern)
    return {**entry, "name": app, "args": {**(entry.get("args") or {}), "model": model}}


def written(graph: Graph) -> str:
    return "# Written by `tutor up` at every start; change configs/serve.yaml instead.\n" + (
        yaml.safe_dump(graph, sort_keys=False, allow_unicode=True)
    )
