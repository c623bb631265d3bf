"""GPU shares for which there is no room, in real clusters with logical GPUs: Ray counts them and
gives them out, and no engine here looks for one."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.dashboard import applications, dashboard_url
from deployments.gpu_fit import UNPLACED_AFTER_S
from tests.cluster.test_graph import replicas
from tests.running import PROJECT, Running, application, free_port, graph, serve_run

pytestmark = pytest.mark.cluster

ONE_GPU = {"RAY_OVERRIDE_RESOURCES": json.dumps({"GPU": 1, "CPU": 4}), "BACKEND_WAIT_SECONDS": "1"}

TOLD_LIMIT_S = UNPLACED_AFTER_S + 30


def stubbed(**gpu: float) -> dict[str, Any]:
    """The graph with stub engines, and these shares of a GPU. Knowledge has no stub."""
    config = graph(free_port())
    for app in config["applications"]:
        if app["name"] not in ("gateway", "knowledge"):
            app["args"] = {"engine": "stub", "gpu": gpu.get(app["name"], 0)}
    return config


def told(engine: Running, **states: str) -> dict[str, Any]:
    """The stages, once they are in these states."""
    deadline_s = time.monotonic() + TOLD_LIMIT_S
    stages: dict[str, Any] = {}
    while {stage: stages.get(stage, {}).get("state") for stage in states} != states:
        assert time.monotonic() < deadline_s, stages
        time.sleep(0.2)
        with contextlib.suppress(httpx.HTTPError):
            stages = httpx.get(f"{engine.url}/health", timeout=10).json()["engines"]
    return stages


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """A graph that fits, and then a model is woken that finds no room any more."""
    home: Path = tmp_path_factory.mktemp("crowded")
    config = stubbed(asr=0.6, tts=0.2)
    model = application(config, "avatar")
    model["args"]["gpu"] = 0.6
    # It may sleep, so its share is not counted; but somebody needs it at once.
    scaling = {"min_replicas": 0, "initial_replicas": 1, "max_replicas": 1}
    model["deployments"][0]["autoscaling_config"] = scaling
    with serve_run(home, config, ONE_GPU) as running:
        yield running, home


def test_a_replica_without_a_place_is_not_starting_for_ever(
    crowded: tuple[Running, Path],
) -> None:
    engine, home = crowded
    stages = told(engine, llm="ready", tts="ready")
    deadline_s = time.monotonic() + TOLD_LIMIT_S
    while "unavailable" not in {stages[stage]["state"] for stage in ("asr", "avatar")}:
        assert time.monotonic() < deadline_s, stages
        time.sleep(0.5)
        stages = httpx.get(f"{engine.url}/health", timeout=10).json()["engines"]
    # Which of the two Ray places first is a matter of chance.
    waiting, placed = (
        ("asr", "avatar") if stages["avatar"]["state"] == "ready" else ("avatar", "asr")
    )
    assert stages[placed]["state"] == "ready"
    assert stages[waiting]["reason"] == (
        f"{waiting} needs 0.6 of a GPU for each replica; the GPU has 0.2 free."
    )
    assert "configs/serve.yaml" in stages[waiting]["remedy"]

    dashboard = dashboard_url((home / "serve.log").read_text())
    assert dashboard is not None
    seen = {app.name: app for app in applications(dashboard) or []}
    assert "0.6 GPU" in seen[waiting].waiting
    assert not any(app.waiting for name, app in seen.items() if name != waiting)
    (pid,) = seen[placed].pids
    assert pid in [process.pid for process in replicas(placed)]


SIGHT = """
import os
import ray
from ray.core.generated.autoscaler_pb2 import ClusterConfig
from deployments.resources import Resources, actor_options

ray.init(address="local", num_gpus=1, num_cpus=2, include_dashboard=False)

@ray.remote
class Replica:
    def sees(self):
        return os.environ.get("CUDA_VISIBLE_DEVICES")

print([ray.get(Replica.options(**actor_options(gpu)).remote().sees.remote()) for gpu in (0.5, 0)])
print(Resources.now().gpus, Resources.now().may_grow)
config = ClusterConfig()
config.node_group_configs.add(resources={"GPU": 1}, max_count=4, name="workers")
ray._private.worker.global_worker.gcs_client.report_cluster_config(config.SerializeToString())
print(Resources.now().gpus, Resources.now().may_grow)
"""


def test_a_replica_sees_its_own_gpu_or_none() -> None:
    """Else an engine without a share, which takes whatever GPU is in sight, would take what is
    others'. A cluster that gets more nodes by itself is told from one that does not."""
    done = subprocess.run(
        [sys.executable, "-c", SIGHT], capture_output=True, text=True, cwd=PROJECT, timeout=120
    )
    assert done.stdout.splitlines()[-3:] == ["['0', '']", "1 False", "1 True"], done.stderr


def test_shares_that_can_never_fit_are_refused_by_the_builders(tmp_path: Path) -> None:
    """Plain `serve run`, which nobody has looked at before."""
    config = stubbed(asr=0.6, avatar=0.6)
    with serve_run(tmp_path, config, ONE_GPU) as engine:
        stages = told(engine, asr="unavailable", avatar="unavailable", llm="ready", tts="ready")
        for stage in ("asr", "avatar"):
            assert "asr 0.6, avatar 0.6, together 1.2" in stages[stage]["reason"]
            assert "Lower `gpu`" in stages[stage]["reason"]
