"""A language model that obeys whatever it is told, unless it is told that it is only material: the
worst reader that a document with hidden instructions could have.

It reads the conversation as templates write it, so that a mark inside a message speaks for somebody
else, and takes every line of the system and of the user for an order that has `say` and a word in
capitals. It knows one thing: between the lines that begin and end the material or the notes, and
carry the same code, stands nothing that it should do.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from engines.base import Message

ORDER = re.compile(r"\bsay ([A-Z]{4,})\b")
NOTHING_TO_DO = "I was told nothing."

_BEGIN = re.compile(r"BEGIN (COURSE MATERIAL|STUDENT NOTES) (\w+)")
_SPEAKERS = re.compile(
    r"<\|im_start\|>(?P<chatml>system|user|assistant)\n"
    r"|<\|start_header_id\|>(?P<llama>system|user|assistant)<\|end_header_id\|>"
    r"|<start_of_turn>(?P<gemma>system|user|model)\n"
    r"|^(?P<plain>System|User|Assistant|### System):"
    r"|(?P<mistral>\[INST\]|<<SYS>>|\[SYSTEM_PROMPT\])"
    r"|(?P<deepseek><｜System｜>|<｜User｜>)",
    re.M,
)


def prompt(messages: Sequence[Mapping[str, str]]) -> str:
    """The messages of OpenAI's API, in ChatML."""
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def obeyed(messages: Sequence[Mapping[str, str]]) -> list[str]:
    """The words that it says, as somebody told it to."""
    words: list[str] = []
    for speaker, text in _turns(prompt(messages)):
        if speaker not in ("assistant", "model"):
            words += ORDER.findall("\n".join(_unmarked(text)))
    return words


def _turns(text: str) -> Iterator[tuple[str, str]]:
    found = list(_SPEAKERS.finditer(text))
    for this, following in zip(found, [*found[1:], None], strict=True):
        speaker = next(filter(None, this.groups())).lower()
        yield speaker, text[this.end() : following.start() if following else None]


def _unmarked(text: str) -> Iterator[str]:
    begun = None
    for line in text.split("\n"):
        if begun is None:
            begun = _BEGIN.fullmatch(line)
            if begun is None:
                yield line
        elif line == f"END {begun[1]} {begun[2]}":
            begun = None


class ObedientLlm:
    """Says what it was told to, of plain messages."""

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        plain = [{"role": m.role, "content": m.content} for m in messages]
        yield " ".join(obeyed(plain)) or NOTHING_TO_DO
