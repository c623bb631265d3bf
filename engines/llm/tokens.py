"""Between messages and tokens: a model's template going in, whole characters coming out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from engines.base import Message
from engines.errors import QuestionRefused
from engines.llm.thinking import ThinkFilter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BROKEN: Final = "\ufffd"
"""What tokenizers write for bytes that are no character, or not yet a whole one."""

MOST_PENDING = 8
"""Tokens. No character has more than four bytes, but some models write none of them right."""

NAMES = {"system": "System", "user": "User", "assistant": "Assistant"}
"""How a model without a template is shown who speaks."""

TURN_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
)
"""Marks that end an answer. Many a model's files name only one of its own."""


@dataclass(frozen=True, slots=True)
class Prompt:
    tokens: list[int]
    stops: tuple[str, ...] = ()
    """The answer ends before any of these."""
    thinks: bool = False
    """The template has already begun a thought, which the answer only ends."""


class Prompting:
    """A model's tokenizer and template. Any thread may call it."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", stops: tuple[str, ...] = (), think: bool = False
    ) -> None:
        """`think` lets models think that can be told whether to."""
        self._tokenizer = tokenizer
        self._stops = stops
        self._think = think
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is not None:
            # Otherwise it changes itself for a call, and refuses others meanwhile.
            backend.no_truncation()
            backend.no_padding()
        self._backend = backend
        self._marks = _beginnings(_marks(tokenizer))

    def cleaned(self, messages: Sequence[Message]) -> list[Message]:
        """The same without any of the model's marks in what was said. Otherwise a learner could
        end the question and speak as the system. The system's own messages stay as they are."""
        return [
            m if m.role == "system" else replace(m, content=self._marks.sub(r"\1 ", m.content))
            for m in messages
        ]

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """Raises `QuestionRefused` when the template refuses the messages."""
        messages = self.cleaned(messages)
        if not self._tokenizer.chat_template:
            stops = tuple(f"\n{name}:" for name in NAMES.values())
            return Prompt(self._tokens(plain(messages), marked=False), self._stops + stops)
        text = self._filled(messages)
        thinks = text.rstrip().endswith("<think>")
        return Prompt(self._tokens(text, marked=True), self._stops, thinks)

    def count(self, text: str) -> int:
        """Tokens of a text alone."""
        return len(self._tokens(text, marked=True))

    def decode(self, tokens: Sequence[int]) -> str:
        """Text without marks. Bytes of a character that are not complete become `BROKEN`."""
        return str(
            self._tokenizer.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def ends(self, named: int | Sequence[int] | None) -> frozenset[int]:
        """Tokens that end an answer: those that the model names, and those everybody knows."""
        own = [named] if isinstance(named, int) else list(named or ())
        known = self._tokenizer.get_vocab()
        marks = [known[mark] for mark in TURN_ENDS if mark in known]
        eos = self._tokenizer.eos_token_id
        return frozenset(own + marks + ([eos] if isinstance(eos, int) else []))

    def _filled(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        try:
            return self._templated(messages)
        except TemplateError:
            pass  # many know no system message, or demand that the speakers take turns
        try:
            return self._templated(taking_turns(messages))
        except TemplateError as error:
            raise QuestionRefused(
                f"The language model's template refuses the conversation ({error}). Begin a new"
                " conversation, or use another model."
            ) from error

    def _templated(self, messages: Sequence[Message]) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                tokenize=False,
                enable_thinking=self._think,  # unknown to most templates, which is no harm
            )
        )

    def _tokens(self, text: str, *, marked: bool) -> list[int]:
        """`marked`: the text has the marks of its beginning already."""
        if self._backend is not None:
            return list(self._backend.encode(text, add_special_tokens=not marked).ids)
        return list(self._tokenizer.encode(text, add_special_tokens=not marked))


def _marks(tokenizer: "PreTrainedTokenizerBase") -> list[str]:
    """Texts that are one token wherever they stand: who speaks, where a turn ends."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    marks = {*(token.content for token in added.values()), *tokenizer.all_special_tokens}
    # Some tokenizers have such tokens for runs of spaces, which say nothing.
    return sorted(mark for mark in marks if len(mark.strip()) > 1)


def _beginnings(marks: Sequence[str]) -> re.Pattern[str]:
    """The first character of each mark, even of those that overlap; a space after it breaks them.
    A whole mark taken out could leave another one."""
    either = "|".join(map(re.escape, marks)) or "(?!)"
    return re.compile(rf"(?=(?:{either}))(\s*\S)")


def plain(messages: Sequence[Message]) -> str:
    """What a model without a template continues."""
    turns = [f"{NAMES[message.role]}: {message.content}\n" for message in messages]
    return "".join([*turns, f"{NAMES['assistant']}:"])


def taking_turns(messages: Sequence[Message]) -> list[Message]:
    """The same with system messages told by the user, and what one speaker says in a row in one."""
    return joined([Message("user", m.content) if m.role == "system" else m for m in messages])


def joined(messages: Sequence[Message]) -> list[Message]:
    """The same with what one speaker says in a row in one."""
    return [
        Message(role, "\n\n".join(message.content for message in row))
        for role, row in groupby(messages, lambda message: message.role)
    ]


class Writing:
    """One answer's text, from its tokens."""

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Prompt) -> None:
        self._characters = Characters(decode)
        self._thoughts = ThinkFilter()
        self._stop = StopFilter(prompt.stops)
        if prompt.thinks:
            self._thoughts.feed("<think>")

    @property
    def stopped(self) -> bool:
        """The answer has come to one of its stop words."""
        return self._stop.stopped

    def feed(self, token: int) -> str:
        """What can be spoken so far; often nothing."""
        text = self._characters.feed(token)
        return self._stop.feed(self._thoughts.feed(text)) if text else ""

    def flush(self) -> str:
        """The rest, when the answer has ended."""
        text = self._thoughts.feed(self._characters.flush()) + self._thoughts.flush()
        return self._stop.feed(text) + self._stop.flush()


class Characters:
    """Text from tokens that are only parts of characters, as of Chinese.

    A token's text also depends on those before it, as with the space that begins a word; so each is
    decoded together with the last ones that were handed on.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._spoken: list[int] = []
        self._pending: list[int] = []

    def feed(self, token: int) -> str:
        self._pending.append(token)
        text = self._new()
        if not text or (text.endswith(BROKEN) and len(self._pending) < MOST_PENDING):
            return ""
        self._spoken, self._pending = self._pending, []
        return text.replace(BROKEN, "")

    def flush(self) -> str:
        return self._new().replace(BROKEN, "") if self._pending else ""

    def _new(self) -> str:
        return self._decode(self._spoken + self._pending)[len(self._decode(self._spoken)) :]


class StopFilter:
    """Ends a text before any of the stop words, wherever its pieces end."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        if self.stopped or not piece:
            return ""
        text = self._held + piece
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        safe = len(text) - max((_begun(text, stop) for stop in self._stops), default=0)
        self._held = text[safe:]
        return text[:safe]

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held


def _begun(text: str, stop: str) -> int:
    """Characters at the end that `stop` could begin with."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((n for n in lengths if stop.startswith(text[-n:])), 0)
