"""What fits onto how many GPUs; and that a replica for which there is no room is told of."""

from typing import Any

import pytest

from deployments.gpu_fit import (
    UNPLACED_AFTER_S,
    Share,
    WrongShare,
    note,
    refusal,
    shares,
    unplaced,
    why_unplaced,
)
from tests.running import graph


def always(**gpu: float) -> list[Share]:
    return [Share(name, fraction, 1, 1) for name, fraction in gpu.items()]


def entry(gpu: object, **deployment: Any) -> dict[str, Any]:
    return {"name": "asr", "args": {"gpu": gpu}, "deployments": [{"name": "Asr", **deployment}]}


@pytest.mark.parametrize(
    ("deployment", "least", "most"),
    [
        ({}, 1, 1),
        ({"num_replicas": 3}, 3, 3),
        ({"num_replicas": "auto"}, 1, 100),
        ({"autoscaling_config": {"min_replicas": 0, "max_replicas": 4}}, 0, 4),
        ({"num_replicas": "auto", "autoscaling_config": {"max_replicas": 4}}, 1, 4),
        ({"autoscaling_config": {}}, 1, 1),
    ],
)
def test_replicas_are_counted_as_serve_does(
    deployment: dict[str, Any], least: int, most: int
) -> None:
    assert shares([entry(0.25, **deployment)]) == [Share("asr", 0.25, least, most)]


def test_what_wants_no_gpu_is_left_out() -> None:
    assert shares([entry(0), {"name": "gateway"}, {"name": "llm-default", "args": None}]) == []


@pytest.mark.parametrize("gpu", [2, -0.1, "much", None])
def test_a_share_that_is_no_fraction_is_named(gpu: object) -> None:
    with pytest.raises(WrongShare, match=f"`gpu: {gpu}` of the application 'asr'"):
        shares([entry(gpu)])


def test_the_shipped_graph_fits_onto_one_gpu_and_tells_what_it_cannot_have_there() -> None:
    wanted = shares(graph(9000)["applications"])
    assert {share.application for share in wanted} >= {"asr", "tts", "avatar"}
    assert refusal(wanted, 1) is None
    assert "max_replicas" in (note(wanted, 1) or "")
    assert note(wanted, 8) is None


def test_what_does_not_fit_is_named_with_all_that_is_wanted() -> None:
    wanted = [*always(asr=0.3, avatar=0.6), Share("tts", 0.2, 2, 9), Share("llm-a", 1, 0, 1)]
    sentence = refusal(wanted, 1)
    assert sentence == (
        "The GPU shares do not fit onto 1 GPU: asr 0.3, avatar 0.6, tts 2 × 0.2, together 1.3; "
        "there is no room for tts."
    )
    assert refusal(wanted, 2) is None, "what is scaled to zero needs no room yet"
    assert "load tts may get fewer" in (note(wanted, 2) or "")


def test_a_share_lies_on_one_gpu() -> None:
    three = always(a=0.6, b=0.6, c=0.6)
    assert "c" in str(refusal(three, 2)).rpartition("room for")[2], "0.4 + 0.4 are not 0.8"
    assert refusal(three, 3) is None
    assert refusal(always(a=0.4, b=0.6, c=0.4, d=0.6), 2) is None, "the large ones go first"


def test_tenths_add_up() -> None:
    assert refusal(always(**{f"a{n}": 0.1 for n in range(10)}), 1) is None
    assert refusal(always(**{f"a{n}": 1 / 3 for n in range(3)}), 1) is None


def test_without_a_gpu_nothing_is_asked_and_nothing_refused() -> None:
    assert refusal(always(asr=1, tts=1), 0) is None
    assert note(always(asr=1, tts=1), 0) is None


# ── replicas that wait for a place ───────────────────────────────────────────────────────────────

NOW_S = 1_000_000.0
LONG_AGO_S = NOW_S - UNPLACED_AFTER_S - 1


def seen(start_time_s: float, node_id: str | None) -> dict[str, Any]:
    replica = {"state": "STARTING", "start_time_s": start_time_s, "node_id": node_id}
    needs = {"CPU": 0.1, "GPU": 0.6}
    return {"deployments": {"Asr": {"required_resources": needs, "replicas": [replica]}}}


def test_only_a_replica_that_has_waited_long_for_its_place_is_told_of() -> None:
    assert unplaced(seen(LONG_AGO_S, None), NOW_S) == {"CPU": 0.1, "GPU": 0.6}
    assert unplaced(seen(LONG_AGO_S, "a node"), NOW_S) == {}
    assert unplaced(seen(NOW_S - 1, None), NOW_S) == {}
    assert unplaced(seen(0, None), NOW_S) == {}, "not even asked for yet"
    assert unplaced({}, NOW_S) == {}


@pytest.mark.parametrize(
    ("free", "gpus", "says"),
    [
        ({"GPU": 0.4, "CPU": 9}, 1, "asr needs 0.6 of a GPU for each replica; the GPU has 0.4 f"),
        ({"GPU": 0.5, "CPU": 9}, 2, "asr needs 0.6 of a GPU for each replica; the GPUs have 0.5"),
        ({"CPU": 9}, 1, "the GPU has 0 free."),
        ({"GPU": 0.8, "CPU": 9}, 2, "no GPU has so much free."),
        ({"GPU": 1, "CPU": 0.05}, 1, "asr needs 0.1 of a CPU for each replica; the cluster has 0."),
    ],
)
def test_why_there_is_no_place(free: dict[str, float], gpus: int, says: str) -> None:
    assert says in (why_unplaced("asr", {"CPU": 0.1, "GPU": 0.6}, free, gpus) or "")


def test_where_there_is_room_it_only_takes_long() -> None:
    assert why_unplaced("asr", {"CPU": 0.1, "GPU": 0.6}, {"GPU": 0.6, "CPU": 1}, 1) is None
    assert why_unplaced("asr", {"GPU": 0.3}, {"GPU": 0.29999999}, 1) is None
    assert why_unplaced("asr", {"CPU": 0.1}, {"CPU": 1}, 4) is None
