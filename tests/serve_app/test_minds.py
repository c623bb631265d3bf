from pathlib import Path

import pytest

from engines.base import EngineState
from serve_app.minds import minds
from serve_app.settings import Settings
from serve_app.tutors import read_tutors
from tests.running import PROJECT, stub_engines


@pytest.mark.parametrize(
    ("states", "there"),
    [
        ({}, False),
        ({"llm": EngineState("ollama", "ready")}, True),
        ({"llm": EngineState("ollama", "degraded")}, True),
        ({"llm": EngineState("offline", "degraded")}, False),
        ({"llm": EngineState("llm-default", "unavailable")}, False),
        ({"llm": EngineState("llm-default", "starting")}, False),
        (
            {"llm": EngineState("offline", "degraded"), "llm-own": EngineState("vllm", "ready")},
            True,
        ),
        (
            {
                "llm": EngineState("offline", "degraded"),
                "llm-other": EngineState("vllm", "ready"),
            },
            False,
        ),
    ],
)
async def test_only_a_model_that_may_answer_seems_to_be_there(
    states: dict[str, EngineState], there: bool, tmp_path: Path
) -> None:
    async def told() -> dict[str, EngineState]:
        return states

    settings = Settings(tutor_home=tmp_path, tutor_llm_models={2: "own"})
    tutors = read_tutors(PROJECT / "configs/tutors.yaml", settings)
    asked = minds(stub_engines(states=told), tutors)
    assert await asked.seems_there(2) is there
