"""What the gateway says of an application of which no replica runs."""

from typing import Any

import pytest
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from deployments.graph import Idle


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
