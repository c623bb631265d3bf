"""The GPUs of this machine: how many Ray will find, and whether the graph fits onto them."""

import os

from cli.errors import WrongUsage
from cli.graph_file import Graph
from deployments.gpu_fit import LOWER, Share, WrongShare, note, refusal, shares


def demand_room(graph: Graph) -> None:
    """Have the replicas that always run fit onto the GPUs of the cluster that is to be started.
    Raises `WrongUsage`."""
    wanted = _wanted(graph)
    sentence = refusal(wanted, _gpus()) if wanted else None
    if sentence is not None:
        raise WrongUsage(sentence, LOWER)


def lack_under_load(graph: Graph) -> str | None:
    """What cannot be had at once although everything fits; None: nothing."""
    wanted = _wanted(graph)
    return note(wanted, _gpus()) if wanted else None


def _wanted(graph: Graph) -> list[Share]:
    try:
        return shares(graph["applications"])
    except WrongShare as wrong:
        raise WrongUsage(str(wrong), "Change it in configs/serve.yaml.") from wrong


def _gpus() -> int:
    """As Ray counts them when it starts here; 0 when that is not known: Ray and the builders of the
    graph look themselves."""
    if (os.environ.get("RAY_ADDRESS") or "local") != "local":
        return 0  # a cluster of other machines
    # Ray has no public call for this, and knows more kinds and settings than could be told here.
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    try:
        found = ResourceAndLabelSpec().resolve(is_head=True)
    except ValueError:  # contradicting settings, such as CUDA_VISIBLE_DEVICES: Ray says it better
        return 0
    return int(found.num_gpus or 0)
