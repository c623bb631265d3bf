from pathlib import Path

import pytest

from foundation.settings import SettingsError
from serve_app.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No `.env` of whoever runs the tests takes part."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_are_those_of_the_documents() -> None:
    settings = read_settings()
    assert (settings.management_api_host, settings.management_api_port) == ("127.0.0.1", 9000)
    assert (settings.max_sessions, settings.session_timeout_seconds) == (10, 3600)
    assert settings.ollama_base_url == "http://127.0.0.1:11434"
    assert settings.default_llm_model == "mistral-nemo:12b-instruct-2407-fp16"
    assert (settings.llm_temperature, settings.enable_llm) == (0.4, True)
    assert settings.engine_url("x") == "ws://127.0.0.1:9000/ws/ws/x"


def test_the_environment_file_of_the_documents_is_read(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text(
        "MANAGEMENT_API_HOST=127.0.0.1\nMANAGEMENT_API_PORT=9100\nWEBSOCKET_HOST=0.0.0.0\n"
        "WEBSOCKET_PORT=9001\nWEBSOCKET_URL=ws://192.0.2.7:9000\nCUDA_VISIBLE_DEVICES=0\n"
        "MAX_SESSIONS=7\nDATABASE_URL=\nENABLE_LLM=false\nTUTOR_2_LLM_MODEL=llama3.1:8b\n"
    )
    monkeypatch.setenv("MAX_SESSIONS", "8")
    settings = read_settings()
    assert (settings.management_api_port, settings.max_sessions) == (9100, 8)
    assert settings.engine_url("x") == "ws://192.0.2.7:9000/ws/ws/x"
    assert not settings.enable_llm
    assert settings.llm_model(2) == "llama3.1:8b"
    assert settings.llm_model(3) == settings.default_llm_model


@pytest.mark.parametrize(
    "configured",
    ["wss://host", "wss://host/", "wss://host/ws", "wss://host/ws/ws", "wss://host/ws/"],
)
def test_the_socket_prefix_never_doubles(configured: str) -> None:
    assert Settings(websocket_url=configured).engine_url("x") == "wss://host/ws/ws/x"


def test_a_proxy_prefix_is_kept() -> None:
    assert Settings(websocket_url="wss://h/tutor").engine_url("x") == "wss://h/tutor/ws/ws/x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MANAGEMENT_API_PORT", "http"),
        ("MANAGEMENT_API_PORT", "70000"),
        ("WEBSOCKET_URL", "localhost:9000"),
        ("OLLAMA_BASE_URL", "localhost"),
        ("DATABASE_URL", "mongodb://x"),
        ("MAX_SESSIONS", "0"),
        ("LLM_TEMPERATURE", "hot"),
        ("ENABLE_LLM", "perhaps"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: "):
        read_settings()


def test_wrong_values_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://user:secret@host/db")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert "secret" not in str(caught.value)


def test_strangers_are_let_in_only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="ENGINE_API_KEY"):
        read_settings(listening_on=("0.0.0.0", 9000))
    monkeypatch.setenv("ENGINE_API_KEY", "k")
    assert read_settings(listening_on=("0.0.0.0", 9000)).management_api_host == "0.0.0.0"
    monkeypatch.delenv("ENGINE_API_KEY")
    monkeypatch.setenv("ALLOW_ANONYMOUS_MANAGEMENT", "true")
    assert read_settings(listening_on=("0.0.0.0", 9100)).management_api_port == 9100


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"WEBRTC_UDP_PORTS": "100-200"}, "WEBRTC_UDP_PORTS"),
        ({"WEBRTC_UDP_PORTS": "50100-50000"}, "WEBRTC_UDP_PORTS"),
        ({"WEBRTC_UDP_PORTS": "many"}, "WEBRTC_UDP_PORTS"),
        ({"STUN_URL": "http://x"}, "STUN_URL"),
        ({"TURN_URLS": "turn:relay.example"}, "TURN_SECRET"),
        ({"TURN_URLS": "stun:relay.example", "TURN_SECRET": "s"}, "TURN_URLS"),
        ({"ENDPOINT_FINISHED_MS": "900", "ENDPOINT_UNSURE_MS": "500"}, "ENDPOINT_FINISHED_MS"),
        ({"BARGE_IN_HOLD_MS": "1000", "BARGE_IN_STOP_MS": "900"}, "BARGE_IN_HOLD_MS"),
    ],
)
def test_live_settings_that_cannot_work_are_named(
    wrong: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named):
        read_settings()


def test_a_relay_and_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURN_URLS", "turn:relay.example:3478, turns:relay.example:5349")
    monkeypatch.setenv("TURN_SECRET", "hidden")
    monkeypatch.setenv("WEBRTC_UDP_PORTS", "50000-50100")
    settings = read_settings()
    assert settings.turn_url_list == ["turn:relay.example:3478", "turns:relay.example:5349"]
    assert settings.webrtc_ports == (50000, 50100)
    assert "hidden" not in repr(settings)
