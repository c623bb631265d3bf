import json
from dataclasses import replace

import pytest

from cli.dashboard import Application
from cli.memory import Gpu, ReplicaUsage, Usage
from cli.progress import UNAVAILABLE_AFTER_S, Look, telling_lines
from cli.status import Status, _span, show
from tests.cli.conftest import Tutor
from tests.running import Running
from wire.rest import EngineHealth, Health, SessionCount


def test_nothing_runs(tutor: Tutor) -> None:
    result = tutor("status")
    assert result.exit_code == 1
    assert "No engine is running" in result.stderr
    assert "tutor up" in result.stderr
    result = tutor("status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"running": False}


def test_an_engine_that_we_have_not_started_is_shown_by_its_own_word(
    engine: Running, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANAGEMENT_API_PORT", str(engine.port))
    result = tutor("status")
    assert result.exit_code == 0
    assert "not started by `tutor up`" in result.stdout
    found = json.loads(tutor("status", "--json").stdout)
    assert found["running"]
    assert found["pid"] is None
    assert found["engines"]["asr"]["engine"] == "stub"
    assert found["ports"] == {"http": engine.port}


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (59.9, "59 s")],
)
def test_spans(seconds: float, says: str) -> None:
    assert _span(seconds) == says


def found(*apps: Application) -> Status:
    """An engine of which `asr` has taken something."""
    taken = {
        "asr": ReplicaUsage(2, 1_500_000_000, 2_000_000_000),
        "tts": ReplicaUsage(1, 10**8, None),
    }
    gpu = Gpu(0, "NVIDIA Something [small]", 24_000_000_000, 20_000_000_000)
    usage = Usage(3, 2 * 10**9, "PSS")
    return Status("http://127.0.0.1:9000", None, None, list(apps), None, usage, taken, [gpu])


def test_memory_is_shown_by_application_and_by_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    status = found(app("asr"), app("tts"), app("avatar", "DEPLOYING"))
    show(status)
    lines = capsys.readouterr().out.splitlines()
    (asr,) = [line for line in lines if line.startswith("asr")]
    assert "1.50 GB + 2.00 GB of GPU" in asr
    (tts,) = [line for line in lines if line.startswith("tts")]
    assert tts.rstrip().endswith("0.10 GB")
    (gpu,) = [line for line in lines if line.startswith("GPU 0")]
    assert "20.00 GB free of 24.00 GB (NVIDIA Something [small])" in gpu

    told = status.as_json()
    assert told["applications"]["asr"]["gpu_memory_bytes"] == 2_000_000_000
    assert told["applications"]["tts"]["gpu_memory_bytes"] is None
    assert told["applications"]["avatar"]["memory_bytes"] == 0
    assert told["gpus"][0]["free_bytes"] == 20_000_000_000
    json.dumps(told)


def test_what_an_application_waits_for_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    waiting = replace(app("asr"), waiting="A replica needs 0.6 GPU.")
    failed = replace(app("tts", "DEPLOY_FAILED"), message="Traceback\nSettingsError: Too large.\n")
    show(found(waiting, failed))
    shown = capsys.readouterr().out
    assert "A replica needs 0.6 GPU." in shown
    assert "Too large." in shown
    assert "Traceback" not in shown


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────


def health(**states: str) -> Health:
    engines = {
        stage: EngineHealth.model_validate({"engine": "x", "state": state})
        for stage, state in states.items()
    }
    return Health(version="1", engines=engines, sessions=SessionCount(active=0, max=1))


def app(name: str, status: str = "RUNNING") -> Application:
    return Application(name, status, "", {})


def test_up_means_that_all_run_and_none_is_starting() -> None:
    up = Look([app("gateway"), app("asr")], health(asr="ready", tts="degraded"))
    assert up.is_up(0)
    assert not replace(up, health=None).is_up(99)
    assert not replace(up, apps=[app("asr", "DEPLOYING")]).is_up(99)
    assert not replace(up, health=health(asr="starting")).is_up(99)
    assert replace(up, apps=[]).is_up(0), "the dashboard may be closed to us"
    no_room = replace(app("asr", "DEPLOYING"), waiting="A replica needs 0.6 GPU.")
    assert replace(up, apps=[no_room]).is_up(0), "that may last for ever; its health tells of it"


def test_an_unavailable_engine_is_waited_for_but_not_for_ever() -> None:
    look = Look([app("gateway")], health(asr="unavailable"))
    assert not look.is_up(UNAVAILABLE_AFTER_S)
    assert look.is_up(UNAVAILABLE_AFTER_S + 1)


def test_progress_names_what_is_up_and_what_is_not() -> None:
    assert str(Look()) == "Starting Ray …"
    apps = [app("gateway"), app("asr", "DEPLOYING")]
    assert str(Look(apps)) == "Up: gateway; still starting: asr …"
    assert str(Look(apps[1:])) == "Still starting: asr …"
    assert str(Look(apps[:1])) == "Up: gateway; the gateway does not answer yet …"


def test_telling_lines_leave_out_what_says_nothing() -> None:
    log = (
        "\x1b[36m(raylet)\x1b[0m Error: no GPU\n\nINFO 1 - fine\nWARNING - hm\n"
        '  File "a.py", line 1\n    ^^^^^\nValueError: here\n'
        "*** SIGTERM received at time=1 on cpu 1 ***\nPC: @ 0x7f  (unknown)  f\n    @  0x7f  g\n"
    )
    assert telling_lines(log) == [
        "(raylet) Error: no GPU",
        '  File "a.py", line 1',
        "ValueError: here",
    ]
    assert telling_lines("INFO only\n") == ["INFO only"]
    assert telling_lines("") == []
