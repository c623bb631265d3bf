"""Every sentence of the web server has its Chinese, and there is no Chinese of any other."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from types import ModuleType

import pytest

import web_server
import wire.names
import wire.rest
from tests.web_server.schools import settings_for
from web_server import sentences
from web_server.app import create_app
from web_server.chinese import FIELDS, SENTENCES
from web_server.findings import KINDS, PATTERNS

FIXED = {"Tutor not found"}
"""Clients compare it to the letter."""

OF_THE_FRAMEWORK = {"Method Not Allowed", "There was an error parsing the body"}

PASSED_ON = {
    "app": "str(error.detail)",
    "errors": "sentence",
    "findings": "named or str(whole); str(about['error']); PATTERNS[about['pattern']]; KINDS[kind];"
    " str(error['msg'])",
    "sentences": "self.template",
}
"""By module: templates that are no text of their own there."""


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(web_server.__path__):
        yield importlib.import_module(f"web_server.{found.name}")


def called(module: ModuleType, name: str) -> Iterator[ast.expr]:
    """The first argument of each call."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name and node.args:
            yield node.args[0]


def texts(module: ModuleType, name: str) -> Iterator[str]:
    """Those that are written out. What is put together (an f-string) could not be looked up."""
    passed_on = PASSED_ON.get(module.__name__.rpartition(".")[2], "").split("; ")
    for given in called(module, name):
        if isinstance(given, ast.Constant):
            yield str(given.value)
        else:
            place = f"{module.__name__}, line {given.lineno}: {ast.unparse(given)}"
            assert ast.unparse(given) in passed_on, place


def told() -> set[str]:
    """The checker of types holds that every refusal has a `Sentence`; so here stand all of them."""
    found = {text for module in modules() for text in texts(module, "Sentence")}
    # Of fields; what is wrong with settings is told whoever starts the server, in English.
    checked = [module for module in modules() if module.__name__ != "web_server.settings"]
    for module in (*checked, wire.names, wire.rest):
        found.update(texts(module, "ValueError"))
    return found | set(KINDS.values()) | set(PATTERNS.values()) | OF_THE_FRAMEWORK


def places(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_every_sentence_has_its_chinese() -> None:
    assert told() - SENTENCES.keys() == FIXED


def test_and_nothing_else_has() -> None:
    assert SENTENCES.keys() - told() == set()


@pytest.mark.parametrize("english", sorted(SENTENCES))
def test_the_chinese_is_chinese_and_says_the_same_values(english: str) -> None:
    chinese = SENTENCES[english]
    assert re.search(r"[\u4e00-\u9fff]", chinese) or english == "{field}: {finding}"
    assert places(chinese) == places(english)
    commands = re.findall(r"`[^`]+`|[A-Z]+_[A-Z_]+(?:=\w+)?|https?://\S+\w", english)
    assert [word for word in commands if word not in chinese] == []


def test_the_fields_that_have_chinese_names_are_there(tmp_path: Path) -> None:
    api = create_app(settings_for(tmp_path, "http://127.0.0.1:1")).openapi()
    names = {"body"}
    for schema in api["components"]["schemas"].values():
        names |= set(schema.get("properties", {}))
    for path in api["paths"].values():
        names |= {given["name"] for call in path.values() for given in call.get("parameters", ())}
    assert {part for field in FIELDS for part in field.split(".")} - names == set()


def test_a_sentence_that_is_put_together_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    source = 'REFUSED = Sentence("There is none.")\n\ndef of(name):\n    Sentence(f"No {name}.")\n'
    monkeypatch.setattr(inspect, "getsource", lambda _module: source)
    found = texts(sentences, "Sentence")
    assert next(found) == "There is none."
    with pytest.raises(AssertionError, match="line 4"):
        next(found)
