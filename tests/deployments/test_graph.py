"""What the gateway says of an application of which no replica runs."""

from dataclasses import dataclass
from typing import Any, cast

import pytest
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from deployments.graph import Graph, Idle


def overview(status: ApplicationStatus) -> ApplicationStatusOverview:
    return ApplicationStatusOverview(
        status=status, message="", last_deployed_time_s=0.0, deployments={}
    )


@pytest.mark.parametrize(
    ("status", "target", "known"),
    [
        (ApplicationStatus.RUNNING, 0, "ready"),
        (ApplicationStatus.RUNNING, 1, None),
        (ApplicationStatus.DEPLOYING, 0, None),
        (ApplicationStatus.DEPLOY_FAILED, 1, "unavailable"),
    ],
)
def test_only_one_that_was_scaled_to_none_is_ready_without_a_replica(
    status: ApplicationStatus, target: int, known: str | None
) -> None:
    details: dict[str, Any] = {"deployments": {"Llm": {"target_num_replicas": target}}}
    state = Idle({"llm-default": details}, None).state("llm-default", overview(status))
    assert (state and state.state) == known


@dataclass
class Stage:
    application: str


@dataclass
class Nothing:
    """A Serve without any application."""

    looks: int = 0

    async def statuses(self) -> dict[str, ApplicationStatusOverview]:
        self.looks += 1
        return {}


async def test_a_stage_that_came_after_the_last_look_is_looked_at() -> None:
    stages, nothing = {"llm": Stage("llm-default")}, Nothing()
    graph = Graph(cast(Any, stages), cast(Any, nothing))
    assert set(await graph.states()) == {"llm"}
    await graph.states()
    assert nothing.looks == 1
    stages["llm-new"] = Stage("llm-new")
    assert (await graph.states())["llm-new"].state == "unavailable"
    del stages["llm"]
    await graph.states()
    assert nothing.looks == 2
