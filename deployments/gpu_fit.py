"""Whether the GPU shares of a graph fit onto the GPUs that there are. Pure.

A replica's share lies on one GPU: two GPUs of which each has half free have no room for 0.6. Ray
only keeps the books; that a replica takes no more memory than its share is its engine's duty.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

GpuFraction = Annotated[float, Field(ge=0, le=1)]

FINEST = 10_000
"""Ray counts GPUs in ten-thousandths."""

AUTO_REPLICAS = (1, 100)
"""What Serve makes of `num_replicas: auto`."""

UNPLACED_AFTER_S = 10.0
"""Where there is room, Ray places a replica within a second; before an update the old one leaves
first, and Ray takes note of that some seconds later."""

LOWER = (
    "Lower `gpu` or `min_replicas` of an application in configs/serve.yaml, or set `gpu: 0` where "
    "the CPU will do."
)

MAKE_ROOM = "Lower `gpu` or `max_replicas` of an application in configs/serve.yaml, or add a GPU."


@dataclass(frozen=True, slots=True)
class Share:
    """What one application wants of the GPUs."""

    application: str
    gpu: float
    """Fraction of one GPU, for each replica."""
    least: int
    """Replicas that run at all times."""
    most: int

    def __str__(self) -> str:
        return f"{self.application} {'' if self.least == 1 else f'{self.least} × '}{self.gpu:g}"


class WrongShare(Exception):
    """A `gpu` that is no fraction; the sentence names its application."""


def shares(applications: Iterable[Mapping[str, Any]]) -> list[Share]:
    """Of the `applications` of a Serve configuration those that want a GPU. Raises `WrongShare`."""
    found = (_share(entry) for entry in applications)
    return [share for share in found if share.gpu > 0]


def _share(entry: Mapping[str, Any]) -> Share:
    asked = (entry.get("args") or {}).get("gpu", 0)
    try:
        gpu = TypeAdapter(GpuFraction).validate_python(asked)
    except ValidationError as invalid:
        raise WrongShare(
            f"`gpu: {asked}` of the application {entry['name']!r} is no fraction of a GPU: it must "
            "be a number from 0 to 1."
        ) from invalid
    deployment: Mapping[str, Any] = next(iter(entry.get("deployments") or ()), {})
    return Share(entry["name"], gpu, *_replicas(deployment))


def _replicas(deployment: Mapping[str, Any]) -> tuple[int, int]:
    """The fewest and the most, with Serve's own defaults."""
    scaling, number = deployment.get("autoscaling_config"), deployment.get("num_replicas")
    least, most = AUTO_REPLICAS if number == "auto" else (1, 1)
    if scaling is not None:
        return scaling.get("min_replicas", least), scaling.get("max_replicas", most)
    return (least, most) if number in (None, "auto") else (int(number), int(number))


def refusal(wanted: Sequence[Share], gpus: int) -> str | None:
    """Why the replicas that always run cannot all be placed; None when they can, or when there is
    no GPU, which nothing is asked of then."""
    left_out = _left_out(wanted, gpus, lambda share: share.least)
    if not left_out:
        return None
    always = [share for share in wanted if share.least]
    return (
        f"The GPU shares do not fit onto {_gpus(gpus)}: {', '.join(map(str, always))}, together "
        f"{sum(share.gpu * share.least for share in always):g}; there is no room for "
        f"{', '.join(left_out)}."
    )


def note(wanted: Sequence[Share], gpus: int) -> str | None:
    """What cannot be had at once, although all that must run can; None when there is no such."""
    left_out = _left_out(wanted, gpus, lambda share: share.most)
    if not left_out:
        return None
    return (
        f"{_gpus(gpus)} cannot hold all replicas that configs/serve.yaml allows at once: under "
        f"load {', '.join(left_out)} may get fewer than `max_replicas`."
    )


def _left_out(wanted: Sequence[Share], gpus: int, count: Callable[[Share], int]) -> list[str]:
    """The applications of which a replica finds no GPU: the largest shares first, each onto the
    first GPU with room. Ray, which knows them only one by one, does no better."""
    if not gpus:
        return []
    free = [FINEST] * gpus
    left_out = []
    for share in sorted(wanted, key=lambda share: -share.gpu):
        need = max(1, round(share.gpu * FINEST))
        if not all(_placed(need, free) for _ in range(count(share))):
            left_out.append(share.application)
    return left_out


def _placed(need: int, free: list[int]) -> bool:
    place = next((gpu for gpu, room in enumerate(free) if room >= need), None)
    if place is not None:
        free[place] -= need
    return place is not None


# ── replicas that wait for a place ───────────────────────────────────────────────────────────────


def unplaced(application: Mapping[str, Any], now_s: float) -> dict[str, float]:
    """What a replica of this application has been waiting for too long, such as `{"GPU": 0.6}`;
    empty when all have their place. `application` as in `ServeInstanceDetails`; `now_s` since 1970.
    """
    for deployment in (application.get("deployments") or {}).values():
        for replica in deployment.get("replicas") or ():
            waited_s = now_s - (replica.get("start_time_s") or now_s)
            if not replica.get("node_id") and waited_s > UNPLACED_AFTER_S:
                return dict(deployment.get("required_resources") or {})
    return {}


def why_unplaced(
    name: str, needs: Mapping[str, float], free: Mapping[str, float], gpus: int
) -> str | None:
    """The sentence for what `unplaced` found in a cluster with so much `free` and so many GPUs;
    None when it is not for want of room."""
    for resource, of in (("GPU", "of a GPU"), ("CPU", "of a CPU")):
        need, there = needs.get(resource, 0.0), free.get(resource, 0.0)
        if round((need - there) * FINEST) > 0:
            has = "the cluster has" if resource == "CPU" else _gpus_have(gpus)
            return f"{name} needs {need:g} {of} for each replica; {has} {there:.4g} free."
    if needs.get("GPU") and gpus > 1:  # a single GPU would have been taken
        return f"{name} needs {needs['GPU']:g} of a GPU for each replica; no GPU has so much free."
    return None


def _gpus_have(count: int) -> str:
    return "the GPU has" if count == 1 else "the GPUs have"


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
