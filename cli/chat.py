"""`tutor chat`: a conversation in the terminal, as a front end would have it."""

import base64
import contextlib
import difflib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from cli.client import Client, Event, Talk
from cli.errors import CommandError, WrongUsage
from cli.screen import complain, out, say
from wire.events import MAX_MESSAGE_BYTES

FEATURES = ["deltas", "state", "sources"]
QUIT = ("/quit", "/exit")
SHOWN_BASES = 5
"""More names are for `tutor kb list`."""
FORMAT_OF_SUFFIX = {".wav": "wav", ".mp3": "mp3", ".ogg": "ogg"}

MAX_RECORDING_BYTES = MAX_MESSAGE_BYTES // 4 * 3 - 1024
"""Base64 makes four bytes of three; the rest of the message needs a few."""


@dataclass(frozen=True)
class ChatWish:
    """What `tutor chat` was asked for."""

    tutor_id: int = 2
    student_id: int = 1
    text: str | None = None
    recording: Path | None = None
    video: Path | None = None
    audio: Path | None = None
    avatar: str | None = None
    kb: str | None = None
    """Knowledge base; None: the tutor's own, if it has one."""

    @property
    def avatar_id(self) -> str | None:
        """A film needs a face: the tutor's own, when none was named."""
        return self.avatar or (f"avatar_tutor_{self.tutor_id}" if self.video else None)

    @property
    def audio_format(self) -> str:
        return FORMAT_OF_SUFFIX[self.audio.suffix.lower()] if self.audio else "wav"

    def check(self) -> None:
        """Raises `WrongUsage`."""
        if self.text is not None and self.recording is not None:
            raise WrongUsage("Give a text or a recording (--say), not both.")
        if self.audio and self.audio.suffix.lower() not in FORMAT_OF_SUFFIX:
            known = ", ".join(FORMAT_OF_SUFFIX)
            raise WrongUsage(f"--audio writes {known}; {self.audio.name} is none of them.")
        if self.recording and self.recording.stat().st_size > MAX_RECORDING_BYTES:
            limit = MAX_RECORDING_BYTES / 2**20
            raise WrongUsage(f"{self.recording} is too large; the most is {limit:.0f} MiB.")


@dataclass
class Answer:
    """What has come of one answer, and when."""

    asked_s: float = field(default_factory=time.perf_counter)
    text: str = ""
    voice: str | None = None
    video: str | None = None
    sources: list[Event] = field(default_factory=list)
    """What of the course it stands on."""
    failed: bool = False
    line_open: bool = False
    """The cursor stands behind words of the answer."""
    marks: dict[str, float] = field(default_factory=dict)
    """Milliseconds from the question to the first of each."""

    def mark(self, what: str) -> None:
        self.marks.setdefault(what, (time.perf_counter() - self.asked_s) * 1000)

    def timing(self) -> str:
        return " · ".join(f"{what} {_span(ms)}" for what, ms in self.marks.items())


def chat(client: Client, wish: ChatWish) -> bool:
    """Whether every question was answered. Raises `CommandError`."""
    wish.check()
    if wish.kb is not None:
        _demand_base(client, wish.kb)
    session = client.create(wish.tutor_id, wish.student_id, wish.kb)
    try:
        url = client.socket_url(session.session_id)
        with client.talk(url, session.engine_token) as socket:
            conversation = Conversation(socket, wish)
            conversation.greet()
            if wish.recording is not None:
                return conversation.say(wish.recording)
            if wish.text is not None:
                return conversation.write(wish.text)
            return conversation.go_on()
    finally:
        # It has ended already when its time was over, or the engine is gone.
        with contextlib.suppress(CommandError):
            client.end(session.session_id)


def _demand_base(client: Client, kb_id: str) -> None:
    """Raises `WrongUsage` for a knowledge base that is not there."""
    known = [base.kb_id for base in client.bases()]
    if kb_id not in known:
        close = difflib.get_close_matches(kb_id, known, 3) or known[:SHOWN_BASES]
        such = f"Such as {', '.join(close)}; `tutor kb list`" if known else "`tutor kb add`"
        does = "shows all." if known else "makes one of your documents."
        raise WrongUsage(f"There is no knowledge base {kb_id!r}.", f"{such} {does}")


class Conversation:
    """Questions and answers on one socket."""

    def __init__(self, socket: Talk, wish: ChatWish) -> None:
        self._socket = socket
        self._wish = wish
        self._answers = 0

    def greet(self) -> None:
        wanted = {"features": FEATURES, "audio_format": self._wish.audio_format}
        self._socket.send(type="hello", **wanted)
        while self._socket.receive()["type"] != "hello":
            pass

    def go_on(self) -> bool:
        """Until the person ends it; each failed answer has been told."""
        answered = True
        if sys.stdin.isatty():
            say("Write, and press Enter. Ctrl-C cuts an answer off; /quit or Ctrl-D ends.", "dim")
        for line in _lines():
            answered = self.write(line) and answered
        return answered

    def write(self, text: str) -> bool:
        return self._ask(type="text", content=text)

    def say(self, recording: Path) -> bool:
        return self._ask(type="audio", data=base64.b64encode(recording.read_bytes()).decode())

    def _ask(self, **question: Any) -> bool:
        """Whether an answer came."""
        answer = Answer()
        self._socket.send(**question, avatar_id=self._wish.avatar_id)
        try:
            self._take(answer)
        except KeyboardInterrupt:
            self._socket.send(type="interrupt")
            # The pong comes after all that the interruption brings, whatever that is.
            self._socket.send(type="ping")
            self._take(answer, until="pong")
            _end_line(answer)
            say("[cut off]", "dim")
        self._answers += 1
        _show_sources(answer.sources)
        self._keep(answer)
        out.print(Text(answer.timing(), style="dim"))
        return bool(answer.text) and not answer.failed

    def _take(self, answer: Answer, until: str = "idle") -> None:
        """Show events as they come, until the turn has ended."""
        while True:
            event = self._socket.receive()
            _show(event, answer)
            # The engine says that it is idle after every turn, whatever became of it.
            if until in (event["type"], event.get("state")):
                answer.mark("all")
                return

    def _keep(self, answer: Answer) -> None:
        for path, data in ((self._wish.video, answer.video), (self._wish.audio, answer.voice)):
            if path is None:
                continue
            if data is None:
                complain(f"There was nothing to write to {path}.", "yellow")
                answer.failed = True
                continue
            path = _numbered(path, self._answers)
            content = base64.b64decode(data)
            try:
                path.write_bytes(content)
            except OSError as error:
                raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
            say(f"{path} ({len(content) / 1000:.0f} kB)", "dim")


def _show(event: Event, answer: Answer) -> None:
    match event["type"]:
        case "transcription":
            answer.mark("understood")
            out.print(Text(f"“{event['content']}”", style="italic"), soft_wrap=True)
        case "text_delta":
            answer.mark("first word")
            answer.text += event["content"]
            answer.line_open = True
            out.print(Text(event["content"]), end="", soft_wrap=True)
        case "audio_delta":
            answer.mark("first sound")
        case "sources":
            answer.sources = event["items"]
        case "text" | "video":
            _close(event, answer)
        case "audio":
            answer.voice = event["data"]
        case "error":
            # `degraded`: it is answered all the same, without the course.
            answer.failed |= event["code"] != "degraded"
            _end_line(answer)
            complain(event["content"], "red" if answer.failed else "yellow")
        case _:
            pass  # states, and what a later engine may tell


def _close(event: Event, answer: Answer) -> None:
    """The whole answer, the words of which have been shown as they came."""
    if not answer.text:
        answer.text = event["content"]
        out.print(Text(answer.text), soft_wrap=True)
    _end_line(answer)
    answer.voice = event.get("audio")
    answer.video = event.get("video")


def _show_sources(sources: Sequence[Event]) -> None:
    """Where in the course each is, and its words."""
    for source in sources:
        page = f", page {source['page']}" if source.get("page") is not None else ""
        say(f"  {source['document']}{page}: “{' '.join(source['quote'].split())}”", "dim")


def _end_line(answer: Answer) -> None:
    if answer.line_open:
        out.print()
        answer.line_open = False


def _lines() -> Iterator[str]:
    """What the person writes, until they have had enough."""
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            line = input(prompt).strip()
        except (EOFError, KeyboardInterrupt):
            out.print()
            return
        if line in QUIT:
            return
        if line:
            yield line


def _numbered(path: Path, number: int) -> Path:
    """The second answer does not overwrite the first."""
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")


def _span(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"
