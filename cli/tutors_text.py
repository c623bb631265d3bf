"""The text of the tutors' file with one entry more, less or changed; all the rest of it, comments
too, is as it was, letter for letter."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cli.errors import CommandError

Key = int | str
Entry = dict[str, Any]
Content = dict[str, Any]

WIDTH = 100
INDENT = 2
BEFORE = "anyone"
"""A section that is missing is put before this one, which is always there."""


class _Dumper(yaml.SafeDumper):
    """Keeps the lines of a text of several lines."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


@dataclass(frozen=True)
class _Section:
    """Where a section of entries stands; lines are counted from 0."""

    first: int
    """The line of its name."""
    indent: int
    entries: list[tuple[Any, int, int]]
    """Key, first line, and the line after the last."""

    @property
    def end(self) -> int:
        return self.entries[-1][2] if self.entries else self.first + 1

    def place(self, key: Key) -> tuple[int, int] | None:
        return next(((first, end) for known, first, end in self.entries if known == key), None)


def with_entry(text: str, section: str, key: Key, entry: Entry) -> str:
    """With this entry, in the place of one of the same key or after all others. Raises
    `CommandError` when the file is written in a way that this cannot be done in."""
    lines = text.splitlines(keepends=True)
    found = _section(text, section)
    if found is None:
        start = _section(text, BEFORE)
        at = start.first if start else len(lines)
        added = [f"{section}:\n", *_dumped(key, entry, INDENT), "\n"]
        lines[at:at] = added
    elif not found.entries:
        lines[found.first] = f"{section}:\n"
        lines[found.end : found.end] = _dumped(key, entry, INDENT)
    else:
        first, end = found.place(key) or (found.end, found.end)
        lines[first:end] = _dumped(key, entry, found.indent)
    return _checked(text, lines, lambda content: _put(content, section, key, entry))


def without_entry(text: str, section: str, key: Key) -> str:
    """Raises `CommandError` when there is none, or when it cannot be taken out."""
    found = _section(text, section)
    place = found.place(key) if found else None
    if found is None or place is None:
        raise CommandError(f"There is no {key} in {section!r}.")
    lines = text.splitlines(keepends=True)
    del lines[slice(*place)]
    if len(found.entries) == 1:
        lines[found.first] = f"{section}: {{}}\n"
    return _checked(text, lines, lambda content: content[section].pop(key))


def _put(content: Content, section: str, key: Key, entry: Entry) -> None:
    content[section] = {**(content.get(section) or {}), key: entry}


def _checked(text: str, lines: list[str], change: Callable[[Content], object]) -> str:
    """The new text, if it says exactly what the old one says with this change."""
    wanted = yaml.safe_load(text)
    change(wanted)
    new = "".join(lines)
    try:
        said = yaml.safe_load(new)
    except yaml.YAMLError:
        said = None
    if said != wanted:
        raise CommandError(
            "The tutors' file is written in a way that this command cannot change it in.",
            "Write its sections in lines, as in configs/tutors.yaml, or change it by hand.",
        )
    return new


def _section(text: str, name: str) -> _Section | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise CommandError("The tutors' file holds no sections.")
    for key, value in root.value:
        if key.value == name:
            return _found(text, key, value)
    return None


def _found(text: str, key: yaml.Node, value: yaml.Node) -> _Section:
    line, pairs = key.start_mark.line, value.value if isinstance(value, yaml.MappingNode) else []
    lines = text.splitlines()
    entries = [
        (yaml.safe_load(known.value), known.start_mark.line, _end(known, held, lines))
        for known, held in pairs
    ]
    indent = pairs[0][0].start_mark.column if pairs else INDENT
    return _Section(line, indent, entries)


def _end(key: yaml.Node, value: yaml.Node, lines: list[str]) -> int:
    """The line after an entry: blank lines and comments below it belong to what follows."""
    end = max(key.start_mark.line + 1, _last(value))
    while end - 1 > key.start_mark.line and not lines[end - 1].strip():
        end -= 1
    return end


def _last(node: yaml.Node) -> int:
    """The line after the last that anything of this node stands in."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last(node.value[-1])
    mark = node.end_mark  # of a text in `|` or `>` it is the start of what follows
    return int(mark.line + (1 if mark.column else 0))


def _dumped(key: Key, entry: Entry, indent: int) -> list[str]:
    text = yaml.dump(
        {key: entry},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=WIDTH - indent,
        indent=INDENT,
    )
    return [f"{' ' * indent}{line}" if line.strip() else line for line in text.splitlines(True)]


def write(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of it. Raises `CommandError`."""
    target = path.resolve()  # a link stays one
    half = ""
    try:
        mode = target.stat().st_mode
        handle, half = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(half, mode)
        os.replace(half, target)
    except OSError as error:
        if half:
            Path(half).unlink(missing_ok=True)
        raise CommandError(
            f"The tutors' file {path} cannot be written: {error.strerror}."
        ) from error
