"""GPU or not, decided where the cluster is known: a fraction is asked for only where a GPU is, and
refused where there is no room for it."""

from dataclasses import dataclass
from typing import Any, Self, cast

import ray
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray._private.accelerators import (
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO_ENV_VAR as NONE_IN_SIGHT,
)
from ray._private.state import state as cluster_state
from ray.serve import Application
from ray.serve.context import _get_global_client

from deployments.gpu_fit import LOWER, GpuFraction, WrongShare, refusal, shares
from foundation.settings import SettingsError

REPLICA_CPUS = 0.1
"""Logical CPUs of a replica. Small, because a node's real cores are shared by all replicas by
design; a deployment that must have a core to itself says so in serve.yaml."""


class Args(BaseModel):
    """Arguments of a builder; a wrong or unknown one stops the deployment with its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    gpu: GpuFraction = 0.0
    """Fraction of a GPU for each replica, where the cluster has one; 0: none."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the cluster has."""

    gpus: int
    may_grow: bool
    """Whether it gets more GPUs by itself when they are asked for."""
    free: dict[str, float]
    """By Ray's names: GPU, CPU, …"""

    @classmethod
    def now(cls) -> Self:
        # Ray's own annotations lose these.
        total: dict[str, float] = cast(Any, ray.cluster_resources)()
        free: dict[str, float] = cast(Any, ray.available_resources)()
        gpus = total.get("GPU", 0)
        most = cluster_state.get_max_resources_from_cluster_config() or {}
        return cls(int(gpus), most.get("GPU", 0) > gpus, free)


def cluster_has_gpu() -> bool:
    return ray.is_initialized() and Resources.now().gpus > 0


def application_details() -> dict[str, dict[str, Any]]:
    """Every application, as in `ServeInstanceDetails`. Serve has no public call for this, but for
    its REST API."""
    client = _get_global_client(raise_if_no_controller_running=False)
    found = client.get_serve_details() if client is not None else {}
    return dict(found.get("applications") or {})


def demand_room() -> None:
    """Have the GPU shares of the whole graph fit onto the cluster. Raises `SettingsError`."""
    resources = Resources.now()
    if resources.may_grow:
        return
    configs = [app.get("deployed_app_config") for app in application_details().values()]
    try:
        sentence = refusal(shares(filter(None, configs)), resources.gpus)
    except WrongShare:  # told by the builder that it is for
        return
    if sentence is not None:
        raise SettingsError(f"{sentence} {LOWER}")


def actor_options(gpu: float, *, cpus: float = REPLICA_CPUS) -> dict[str, Any]:
    """Ray actor options of one replica."""
    options: dict[str, Any] = {"num_cpus": cpus}
    if not cluster_has_gpu():
        return options
    if gpu:
        return {**options, "num_gpus": gpu}
    # Else Ray leaves all GPUs in sight, and an engine might take what is others' share.
    return {
        **options,
        "runtime_env": {"env_vars": {NONE_IN_SIGHT: "1"}},
    }


def application(name: str, node: type, args: BaseModel, *, gpu: float = 0.0) -> Application:
    """One node of the graph, ready to be deployed: `node(args)` in each replica. Raises
    `SettingsError` when the cluster has too little of a GPU for it."""
    options = actor_options(gpu)
    if "num_gpus" in options:
        demand_room()
    # Serve's own annotations lose the deployment behind its decorator.
    deployment = cast(Any, serve.deployment)(node, name=name, ray_actor_options=options)
    return cast(Application, deployment.bind(args))
