"""GPU or not, decided where the cluster is known: a fraction is asked for only where a GPU is."""

from typing import Annotated, Any, cast

import ray
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve import Application

GpuFraction = Annotated[float, Field(ge=0, le=1)]

REPLICA_CPUS = 0.1
"""Logical CPUs of a replica. Small, because a node's real cores are shared by all replicas by
design; a deployment that must have a core to itself says so in serve.yaml."""


class Args(BaseModel):
    """Arguments of a builder; a wrong or unknown one stops the deployment with its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    gpu: GpuFraction = 0.0
    """Fraction of a GPU for each replica, where the cluster has one; 0: none."""


def cluster_has_gpu() -> bool:
    if not ray.is_initialized():
        return False
    resources: dict[str, float] = cast(Any, ray.cluster_resources)()
    return resources.get("GPU", 0) > 0


def actor_options(gpu: float, *, cpus: float = REPLICA_CPUS) -> dict[str, float]:
    """Ray actor options of one replica."""
    options = {"num_cpus": cpus}
    if gpu and cluster_has_gpu():
        options["num_gpus"] = gpu
    return options


def application(name: str, node: type, args: BaseModel, *, gpu: float = 0.0) -> Application:
    """One node of the graph, ready to be deployed: `node(args)` in each replica."""
    # Serve's own annotations lose the deployment behind its decorator.
    deployment = cast(Any, serve.deployment)(node, name=name, ray_actor_options=actor_options(gpu))
    return cast(Application, deployment.bind(args))
