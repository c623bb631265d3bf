"""`tutor check`: walks through everything a client of the engine does, and says what is wrong.

Each step is a function that returns what it has seen, or raises `Wrong`.
"""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from cli.client import Client, Talk
from cli.errors import CommandError, Refused
from cli.evidence import Wrong, expect, heard, seen, spoken
from cli.screen import out, say, typed
from wire.rest import EngineHealth, Health, SessionCreated

TUTOR_ID = 2
STUDENT_ID = 0
"""Nobody's; so that no learner's places are used up."""

SENTENCE = "one two three four five"
CLOSE_LIMIT_S = 10.0
FOLLOW_LIMIT_S = 10.0
"""The voice is sent right behind its text."""

BAD_TOKEN_CLOSE = 4401
NO_CONTENT = 204
ALL_TAKEN = (429, 503)
"""The student has too many sessions, or everybody together."""


class Doubtful(Exception):
    """Not right, but no fault of what was checked."""

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy


class NotTried(Exception):
    """An earlier step has failed that this one needs."""


Mark = Literal["✓", "✗", "!", "-"]

COLOUR_OF_MARK: dict[Mark, str] = {"✓": "green", "✗": "bold red", "!": "yellow", "-": "dim"}
STEP_WIDTH = 34
"""Characters of the longest step's name."""


@dataclass(frozen=True)
class Result:
    step: str
    mark: Mark
    ms: float
    seen: str
    remedy: str = ""


class Walk:
    """The steps, and what they find on their way for those after them."""

    def __init__(self, client: Client, opened: ExitStack) -> None:
        self.client = client
        self.opened = opened
        self.health: Health | None = None
        self.created: SessionCreated | None = None
        self.socket: Talk | None = None
        self.steps: list[tuple[str, Callable[[], str]]] = [
            ("health", self.check_health),
            ("create a session", self.check_create),
            ("read the session", self.check_get),
            ("open its socket", self.check_socket),
            ("address for browsers", self.check_engine_url),
            ("text → text, audio", self.check_text),
            ("audio → transcription, text, audio", self.check_audio),
            ("text → video", self.check_video),
            ("two sessions on one socket", self.check_student_socket),
            ("wrong token → refused", self.check_wrong_token),
            ("end the session → socket closed", self.check_end),
        ]

    def check_health(self) -> str:
        self.health = self.client.health()
        engines = [f"{stage} {engine.state}" for stage, engine in self.health.engines.items()]
        return ", ".join(engines)

    def check_create(self) -> str:
        self.created = self.client.create(TUTOR_ID, STUDENT_ID)
        return f"session {self.created.session_id[:8]}…"

    def check_get(self) -> str:
        created = self._session()
        session = self.client.get(created.session_id)
        ids = (session.session_id, session.tutor_id, session.student_id)
        if ids != (created.session_id, TUTOR_ID, STUDENT_ID):
            raise Wrong("the session that was created", f"another one, {session.session_id}")
        return session.status

    def check_socket(self) -> str:
        created = self._session()
        url = self.client.socket_url(created.session_id)
        talk = self.client.talk(url, created.engine_token, in_url=True)
        self.socket = self.opened.enter_context(talk)
        self.socket.send(type="ping")
        expect(self.socket, "pong")
        return url.rsplit("/", 1)[0] + "/…"

    def check_engine_url(self) -> str:
        """What a browser is told may be another address than ours."""
        created = self._session()
        url = created.engine_url
        if url == self.client.socket_url(created.session_id):
            return "the same"
        shown = url.rsplit("/", 1)[0] + "/…"
        try:
            with self.client.talk(url, created.engine_token) as socket:
                socket.send(type="ping")
                expect(socket, "pong")
        except (CommandError, Wrong) as error:
            raise Doubtful(
                f"Browsers are told {shown}, which does not answer here.",
                "If it does not answer them either, set WEBSOCKET_URL.",
            ) from error
        return shown

    def check_text(self) -> str:
        with self._fresh_socket() as socket:
            socket.send(type="text", content="Hello")
            text = expect(socket, "text", stage="llm")
        if not text["content"].strip():
            raise Wrong("a `text` with words", "one without", "llm")
        return f"{len(text['content'])} characters, {heard(text.get('audio'))}"

    def check_audio(self) -> str:
        if (asr := self._engine("asr")) and asr.state == "unavailable":
            raise Doubtful(asr.reason, asr.remedy)
        with self._fresh_socket() as socket:
            socket.send(type="audio", data=base64.b64encode(spoken(SENTENCE)).decode())
            words = expect(socket, "transcription", stage="asr")["content"]
            expect(socket, "text", stage="llm")
            audio = expect(socket, "audio", stage="tts", limit_s=FOLLOW_LIMIT_S)
        return f"understood “{words}”, {heard(audio.get('data'))}"

    def check_video(self) -> str:
        with self._fresh_socket() as socket:
            socket.send(type="text", content="Hello", avatar_id=f"avatar_tutor_{TUTOR_ID}")
            video = expect(socket, "video", stage="avatar")
        return seen(video["video"])

    def check_student_socket(self) -> str:
        """User-based: a student's sessions share a socket, and each is answered by its own."""
        with self.student_socket() as (socket, ids):
            for session_id in ids:
                socket.send(type="text", content="Hello", engine_session_id=session_id)
            texts = [expect(socket, "text", stage="llm") for _ in ids]
        if {text.get("engine_session_id") for text in texts} != set(ids):
            raise Wrong("an answer of each session", "others")
        return "each answered"

    def check_wrong_token(self) -> str:
        created = self._session()
        url = self.client.socket_url(created.session_id)
        with self.client.talk(url, "wrong", in_url=True) as socket:
            expect(socket, "error")
            if (code := socket.close_code(CLOSE_LIMIT_S)) != BAD_TOKEN_CLOSE:
                raise Wrong(f"close code {BAD_TOKEN_CLOSE}", f"{code}")
        return f"closed with {BAD_TOKEN_CLOSE}"

    def check_end(self) -> str:
        created = self._session()
        if (status := self.client.end(created.session_id)) != NO_CONTENT:
            raise Wrong(f"HTTP {NO_CONTENT}", f"HTTP {status}")
        if self.socket is None:
            return "ended"
        return f"closed with {self.socket.close_code(CLOSE_LIMIT_S)}"

    def _session(self) -> SessionCreated:
        if self.created is None:
            raise NotTried
        return self.created

    @contextmanager
    def _fresh_socket(self) -> Iterator[Talk]:
        """One for each question, so that a late answer is not taken for the next one's."""
        created = self._session()
        if self.socket is None:
            raise NotTried
        url = self.client.socket_url(created.session_id)
        with self.client.talk(url, created.engine_token, in_url=True) as socket:
            yield socket

    @contextmanager
    def student_socket(self) -> Iterator[tuple[Talk, list[str]]]:
        """The socket of the student, and the ids of two sessions, the second a new one."""
        created = self._session()
        try:
            second = self.client.create(TUTOR_ID, STUDENT_ID).session_id
        except Refused as refused:
            if refused.status not in ALL_TAKEN:
                raise
            raise Doubtful(refused.sentence, "This step needs a second session.") from refused
        try:
            url = self.client.socket_url(f"user_{STUDENT_ID}")
            with self.client.talk(url, created.engine_token, in_url=True) as socket:
                yield socket, [created.session_id, second]
        finally:
            with suppress(CommandError):
                self.client.end(second)

    def _engine(self, stage: str | None) -> EngineHealth | None:
        return self.health.engines.get(stage) if self.health and stage else None

    def remedy(self, wrong: Wrong) -> str:
        """What the engine to blame says can be done; else where to look."""
        blamed = self._engine(wrong.stage)
        if blamed and blamed.state != "ready" and blamed.remedy:
            return blamed.remedy
        return f"`{typed('tutor status')}` and the engine's log say more."


def check(client: Client, walk_of: Callable[[Client, ExitStack], Walk] = Walk) -> bool:
    """Whether nothing was wrong."""
    say(f"Checking {client.url}")
    results = []
    with ExitStack() as opened:
        walk = walk_of(client, opened)
        try:
            for name, step in walk.steps:
                results.append(_tried(walk, name, step))
                _show(results[-1])
        finally:
            _end_if_left(walk, results)
    return _tell_sum(results)


def _tried(walk: Walk, name: str, step: Callable[[], str]) -> Result:
    began_s = time.perf_counter()
    mark: Mark = "✓"
    remedy = ""
    try:
        seen_now = step()
    except NotTried:
        mark, seen_now = "-", "not tried, because of what failed before"
    except Doubtful as doubtful:
        mark, seen_now, remedy = "!", doubtful.sentence, doubtful.remedy
    except Wrong as wrong:
        mark, seen_now = "✗", f"expected {wrong.expected}; came {wrong.came}"
        remedy = walk.remedy(wrong)
    except CommandError as error:
        mark, seen_now, remedy = "✗", error.sentence, error.remedy
    return Result(name, mark, (time.perf_counter() - began_s) * 1000, seen_now, remedy)


def _end_if_left(walk: Walk, results: list[Result]) -> None:
    """A session that the last step has not ended must not keep a learner's place."""
    ended = results and results[-1].step == walk.steps[-1][0] and results[-1].mark == "✓"
    if walk.created is not None and not ended:
        with suppress(CommandError):
            walk.client.end(walk.created.session_id)


def _show(result: Result) -> None:
    line = Text.assemble(
        (result.mark, COLOUR_OF_MARK[result.mark]),
        f" {result.step:<{STEP_WIDTH}}",
        (f"{result.ms:>7.0f} ms  ", "dim"),
        result.seen,
    )
    out.print(line, soft_wrap=True)
    if result.remedy:
        out.print(Text(f"  → {result.remedy}", style="yellow"), soft_wrap=True)


def _tell_sum(results: list[Result]) -> bool:
    failed = sum(result.mark == "✗" for result in results)
    doubtful = sum(result.mark == "!" for result in results)
    if failed:
        say(f"{failed} of {len(results)} steps failed.", "bold red")
    elif doubtful:
        say(f"Everything works but for {doubtful} marked with “!”.", "bold yellow")
    else:
        say("Everything works.", "bold green")
    return not failed
