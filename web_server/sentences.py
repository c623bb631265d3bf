"""What the web server tells people, in the language that they prefer.

A sentence is written in English, with `{places}` for what it is about; that text is also the key
under which `chinese.py` has it. It stays so until the answer is written: only there is it known who
reads it. What has no Chinese is said in English.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Union

from fastapi import Depends
from starlette.requests import HTTPConnection

from web_server.chinese import FIELDS, SENTENCES

Language = Literal["en", "zh"]

USUAL: Language = "en"

CHINESE = SENTENCES | FIELDS

SPOKEN: dict[str, Language] = {"en": "en", "zh": "zh", "*": USUAL}

COMMAS: dict[Language, str] = {"en": ", ", "zh": "、"}

WEIGHT = re.compile(r"\s*[qQ]\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*")

MAX_HEADER_CHARS = 1_000
"""Browsers send some 50; beyond it nothing is looked at."""

Value = Union[str, float, Sequence[str], "Sentence"]
"""Several names are put together as the language does it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """To a person, in any language."""

    template: str
    """English, with `{places}`. Without values it is taken as it is, whatever it holds."""
    values: Mapping[str, Value] = field(default_factory=dict)

    def about(self, **values: Value) -> "Sentence":
        """With these in its places."""
        return Sentence(self.template, values)

    def said(self, language: Language = USUAL) -> str:
        chinese = CHINESE.get(self.template) if language == "zh" else None
        if chinese is None:
            language, written = USUAL, self.template
        else:
            written = chinese
        if not self.values:
            return written
        return written.format_map({name: _text(of, language) for name, of in self.values.items()})


def _text(value: Value, language: Language) -> str:
    if isinstance(value, Sentence):
        return value.said(language)
    return str(value) if isinstance(value, str | float | int) else COMMAS[language].join(value)


def language_of(wanted: str) -> Language:
    """The most wanted language that is spoken here, of an `Accept-Language`; what is malformed in
    it counts for nothing."""
    best, weight = USUAL, 0.0
    for entry in wanted[:MAX_HEADER_CHARS].split(","):
        tag, _, rest = entry.partition(";")
        language, its = SPOKEN.get(tag.strip().lower().partition("-")[0]), _weight(rest)
        if language is not None and its > weight:
            best, weight = language, its
    return best


def _weight(rest: str) -> float:
    """From 0 to 1."""
    if not rest.strip():
        return 1.0
    given = WEIGHT.fullmatch(rest)
    return float(given[1]) if given else 0.0


def language_for(connection: HTTPConnection) -> Language:
    """Of whoever asks; a page can give a socket no header, and says `?language=` instead."""
    if connection.scope["type"] == "websocket" and "language" in connection.query_params:
        return language_of(connection.query_params["language"])
    return language_of(",".join(connection.headers.getlist("accept-language")))


LanguageDep = Annotated[Language, Depends(language_for)]
