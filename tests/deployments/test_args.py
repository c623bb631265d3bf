"""Builders take typed arguments, and refuse wrong ones by name."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from ray.serve import Application

from deployments import asr, avatar, knowledge, llm, tts
from deployments.resources import actor_options
from tests.running import graph

BUILDERS: list[tuple[type[BaseModel], Callable[[Any], Application]]] = [
    (asr.AsrArgs, asr.build),
    (llm.LlmArgs, llm.build),
    (tts.TtsArgs, tts.build),
    (avatar.AvatarArgs, avatar.build),
    (knowledge.KnowledgeArgs, knowledge.build),
]


@pytest.mark.parametrize(("args", "build"), BUILDERS)
def test_the_defaults_build(args: type[BaseModel], build: Callable[[Any], Application]) -> None:
    assert isinstance(build(args()), Application)


@pytest.mark.parametrize("args", [args for args, _ in BUILDERS])
@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"engine": "magic"}, "engine"), ({"gpu": 2}, "gpu"), ({"gpus": 1}, "gpus")],
)
def test_wrong_arguments_are_named(
    args: type[BaseModel], wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        args.model_validate(wrong)


def test_a_gpu_is_asked_for_only_where_there_is_one() -> None:
    assert "num_gpus" not in actor_options(0.5)


def test_the_shipped_graph_has_one_application_for_each_box() -> None:
    applications = {app["name"]: app for app in graph(9000)["applications"]}
    assert set(applications) == {"gateway", "asr", "llm-default", "tts", "avatar", "knowledge"}
    for name, app in applications.items():
        (deployment,) = app["deployments"]
        assert (app["route_prefix"] == "/") == (name == "gateway")
        assert ("autoscaling_config" in deployment) == (name != "gateway")
        assert "ray_actor_options" not in deployment, "the file would override the builder"
