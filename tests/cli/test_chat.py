import io
import os
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import av
import httpx
import pytest

from engines.base import Message
from engines.errors import EngineError
from engines.knowledge.base import Found, Passage
from engines.knowledge.listing import Base
from engines.stub import STUB_WORDS, StubLlm
from serve_app.settings import Settings
from tests import running as running_engines
from tests.cli.conftest import Tutor
from tests.media import wav
from tests.running import NoBases, Running, free_port, plain, stub_engines
from tests.weather import weather_gateway

STUDENT = 4711


@pytest.fixture
def chat(engine: Running, tutor: Tutor) -> Tutor:
    def run(*arguments: str, says: str | None = None) -> object:
        student = ("--student", str(STUDENT))
        return tutor("chat", "--url", engine.url, *student, *arguments, says=says)

    return run  # type: ignore[return-value] # the same but for the address


def live_sessions(engine: Running) -> list[object]:
    listed: list[object] = httpx.get(
        f"{engine.url}/v1/sessions", params={"student_id": STUDENT}
    ).json()
    return listed


def test_one_question(engine: Running, chat: Tutor) -> None:
    result = chat("Hello")
    assert result.exit_code == 0, result.output
    answer, timing = result.stdout.strip().splitlines()
    assert answer.strip() == STUB_WORDS.strip()
    assert timing.startswith("first word ")
    assert "first sound" in timing
    assert live_sessions(engine) == []


def test_a_conversation_ends_with_quit_or_with_the_input(engine: Running, chat: Tutor) -> None:
    for says in ("Hello\n\nAnd now?\n/quit\nnever\n", "Hello\nAnd now?\n"):
        result = chat(says=says)
        assert result.exit_code == 0, result.output
        assert result.stdout.count(STUB_WORDS.strip()) == 2
    assert live_sessions(engine) == []


def test_a_recording(chat: Tutor, tmp_path: Path) -> None:
    (tmp_path / "say.wav").write_bytes(wav())
    result = chat("--say", "say.wav", "--audio", "answer.wav")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("“hello stub”\n")
    assert "understood" in result.stdout
    with wave.open(str(tmp_path / "answer.wav")) as reader:
        assert reader.getnframes() > 0


def test_a_film_and_its_voice(chat: Tutor, tmp_path: Path) -> None:
    result = chat("Hello", "--video", "answer.mp4", "--audio", "answer.mp3")
    assert result.exit_code == 0, result.output
    for name, kind in (("answer.mp4", "video"), ("answer.mp3", "audio")):
        with av.open(io.BytesIO((tmp_path / name).read_bytes()), "r") as found:
            assert [stream for stream in found.streams if stream.type == kind]


def test_each_answer_gets_a_file_of_its_own(chat: Tutor, tmp_path: Path) -> None:
    assert chat("--audio", "answer.wav", says="Hello\nAgain\n").exit_code == 0
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == ["answer-2.wav", "answer.wav"]


def test_a_file_that_cannot_be_written_is_named(engine: Running, chat: Tutor) -> None:
    result = chat("Hello", "--audio", "no/such/folder/answer.wav")
    assert result.exit_code == 1
    assert "answer.wav cannot be written: No such file or directory." in result.stderr
    assert live_sessions(engine) == []


def test_an_unknown_face_is_told_and_is_a_failure(engine: Running, chat: Tutor) -> None:
    result = chat("Hello", "--avatar", "nobody")
    assert result.exit_code == 1
    assert "There is no face 'nobody'" in result.stderr
    assert live_sessions(engine) == []


def test_an_answer_that_breaks_off_is_told(tmp_path: Path, tutor: Tutor) -> None:
    class Fainting:
        async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
            yield "I was just"
            raise EngineError("The model has fainted.")

    engines = stub_engines(think=lambda tutor: Fainting())
    with plain(Settings(tutor_home=tmp_path), engines) as engine:
        result = tutor("chat", "--url", engine.url, "Hello")
    assert result.exit_code == 1
    assert "I was just" in result.stdout
    assert "The model has fainted." in result.stderr


def test_ctrl_c_cuts_an_answer_off_and_the_conversation_goes_on(tmp_path: Path) -> None:
    slow = StubLlm(tokens=("One. ", "Two. ", "never"), gap_s=6.0)
    engines = stub_engines(think=lambda tutor: slow)
    with plain(Settings(tutor_home=tmp_path), engines) as engine:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("tutor")), "chat", "--url", engine.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Count\n")
        process.stdin.flush()
        assert process.stdout.read(4) == "One."
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate("Again\n", timeout=90)
    first, second = rest.split("[cut off]")
    assert "never" not in first
    assert "One. Two. never" in second
    assert process.returncode == 0


def test_a_session_that_is_ended_meanwhile_is_a_sentence(
    engine: Running, chat: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["Hello", "Still there?"])

    def next_line(_prompt: str) -> str:
        line = next(lines)
        if line == "Still there?":
            for session in httpx.get(f"{engine.url}/v1/sessions").json():
                httpx.delete(f"{engine.url}/v1/sessions/{session['session_id']}")
        return line

    monkeypatch.setattr("builtins.input", next_line)
    result = chat()
    assert result.exit_code == 1
    assert "session has been ended" in result.stderr or "closed the connection" in result.stderr
    assert "Traceback" not in result.output


def test_no_engine(tutor: Tutor) -> None:
    result = tutor("chat", "--url", f"http://127.0.0.1:{free_port()}", "Hello")
    assert result.exit_code == 1
    assert "Start it with `tutor up`." in result.stderr


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with weather_gateway(tmp_path_factory.mktemp("weather")) as running:
        yield running


def test_the_sources_stand_below_the_answer(weather: Running, tutor: Tutor) -> None:
    asked = ("chat", "--url", weather.url, "--kb", "weather")
    result = tutor(*asked, says="What is fog?\n雾是怎么形成的？\nWho was Napoleon?\n")
    assert result.exit_code == 0, result.output
    shown = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    assert [line.partition(": “")[0].strip() for line in shown] == ["weather.md", "天气.md"]
    lines = result.stdout.splitlines()
    for line in shown:
        quoted = line.partition(": “")[2].removesuffix("”")
        assert quoted in lines[lines.index(line) - 1], "the answer stands before it"
        assert lines[lines.index(line) + 1].startswith("first word ")


def test_a_page_is_named_where_there_is_one(tmp_path: Path, tutor: Tutor) -> None:
    class Paged:
        async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
            boils = "Water boils at 100 degrees Celsius."
            return [Found(kb_id, "unit 1/book.pdf", Passage(boils, 7, "", 0), 0.9)]

    class Listed(NoBases):
        async def bases(self) -> list[Base]:
            return [Base("physics", 1, 1, None)]

    with plain(
        Settings(tutor_home=tmp_path), stub_engines(knowledge=Paged(), bases=Listed())
    ) as engine:
        result = tutor("chat", "--url", engine.url, "--kb", "physics", "When does water boil?")
    assert "  unit 1/book.pdf, page 7: “Water boils at 100 degrees Celsius.”" in result.stdout


def test_an_unknown_base_is_told_before_the_conversation_begins(
    weather: Running, tutor: Tutor
) -> None:
    result = tutor("chat", "--url", weather.url, "--kb", "wether", "What is fog?")
    assert result.exit_code == 2
    assert "There is no knowledge base 'wether'." in result.stderr
    assert "Such as weather; `tutor kb list` shows all." in result.stderr
    assert httpx.get(f"{weather.url}/v1/sessions").json() == []


def test_without_any_base_it_is_said_how_to_make_one(tmp_path: Path, tutor: Tutor) -> None:
    class Empty(NoBases):
        async def bases(self) -> list[Base]:
            return []

    with plain(Settings(tutor_home=tmp_path), stub_engines(bases=Empty())) as engine:
        result = tutor("chat", "--url", engine.url, "--kb", "physics", "Why?")
    assert (result.exit_code, "`tutor kb add` makes one" in result.stderr) == (2, True)


def test_a_course_that_is_away_is_told_and_the_answer_counts(
    tmp_path: Path, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tutors.yaml").write_text("anyone: [{face: mei, kb: gone}]")
    monkeypatch.setattr(running_engines, "PROJECT", tmp_path)
    with plain(Settings(tutor_home=tmp_path / "home"), stub_engines()) as engine:
        result = tutor("chat", "--url", engine.url, "Why does it rain?")
    assert result.exit_code == 0, result.output
    assert "no knowledge base 'gone'" in result.stderr
    assert STUB_WORDS.strip() in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Hello", "--say", "say.wav"], "not both"),
        (["--say", "gone.wav"], "gone.wav"),
        (["Hello", "--audio", "answer.flac"], ".wav, .mp3, .ogg"),
        (["--say", "large.wav"], "too large"),
        (["Hello", "--tutor", "-1"], "--tutor"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, chat: Tutor, tmp_path: Path) -> None:
    (tmp_path / "say.wav").write_bytes(wav())
    with (tmp_path / "large.wav").open("wb") as large:
        large.truncate(20 * 2**20)
    result = chat(*arguments)
    assert result.exit_code == 2
    assert says in result.output
