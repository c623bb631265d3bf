"""A course's files on their way into a knowledge base, over the engine's REST API."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize
from urllib.parse import quote

from pydantic import TypeAdapter
from rich.text import Text

from cli.errors import Refused, WrongUsage
from cli.screen import complain, out, say, state, table
from cli.sending import SendingClient, Told, bar, settled
from wire.rest import DocumentPublic, FoundPublic, KnowledgePublic

PATH = "/v1/knowledge"

LOOK_INTERVAL_S = 0.3

READABLE = (
    *(".pdf", ".docx", ".docm", ".pptx", ".pptm"),
    *(".md", ".markdown", ".html", ".htm", ".xhtml", ".txt", ".csv", ".tsv"),
)
"""What is taken out of a folder; a file that is named itself is always sent."""

SHOWN_CHARS = 400
"""Of a passage that was found; all of it with `--json`."""

_DOCUMENTS = TypeAdapter(list[DocumentPublic])
_FOUND = TypeAdapter(list[FoundPublic])


class KnowledgeClient(SendingClient):
    """The engine's knowledge bases."""

    def create_base(self, kb_id: str) -> KnowledgePublic:
        answer = self._ask("POST", PATH, {"kb_id": kb_id})
        return KnowledgePublic.model_validate_json(answer.content)

    def remove(self, kb_id: str, name: str | None = None) -> None:
        """A document, or the whole base."""
        self._ask("DELETE", f"{PATH}/{_encoded(kb_id)}" if name is None else _path(kb_id, name))

    def documents(self, kb_id: str) -> list[DocumentPublic]:
        return _DOCUMENTS.validate_json(self._ask("GET", _path(kb_id)).content)

    def document(self, kb_id: str, name: str) -> DocumentPublic:
        return DocumentPublic.model_validate_json(self._ask("GET", _path(kb_id, name)).content)

    def search(self, kb_id: str, question: str, limit: int) -> list[FoundPublic]:
        query = f"q={_encoded(question)}&limit={limit}"
        answer = self._ask("GET", f"{PATH}/{_encoded(kb_id)}/search?{query}")
        return _FOUND.validate_json(answer.content)

    def add(self, kb_id: str, name: str, file: Path, told: Told) -> DocumentPublic:
        """Raises `CommandError`."""
        answer = self._send(_path(kb_id), file, {"name": name}, told)
        return DocumentPublic.model_validate_json(answer.content)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file."""

    name: str
    result: Literal["added", "replaced", "unchanged", "failed"]
    reason: str = ""
    notes: Sequence[str] = ()
    pages: int = 0
    passages: int = 0


def files_of(paths: Iterable[Path]) -> dict[str, Path]:
    """What the documents are to be called → their files: those of a folder after their places in
    it. Raises `WrongUsage`."""
    named = [pair for path in paths for pair in _named(path)]
    for name, file in named:
        if not name.isprintable():  # as Python shows bytes that are no UTF-8, too
            raise WrongUsage(f"The name {name!r} cannot be shown.", f"Rename {str(file)!r}.")
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise WrongUsage(
            f"Two files would be called {twice[0]!r}.", "Name the folder that both are in."
        )
    if not named:
        raise WrongUsage(f"No file that can be read is there: {', '.join(READABLE)}.")
    return dict(named)


def _named(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield normalize("NFC", path.name), path
        return
    if not path.is_dir():
        raise WrongUsage(f"There is no file or folder {path}.")
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if file.suffix.lower() not in READABLE or any(p.startswith(".") for p in inside.parts):
            continue
        if file.is_file():
            yield normalize("NFC", inside.as_posix()), file


def add(
    client: KnowledgeClient, kb_id: str, files: dict[str, Path], *, quiet: bool = False
) -> list[Outcome]:
    """Send what has changed, and wait until it is read; says how each went unless `quiet`. The
    engine goes on when this is interrupted. Raises `CommandError`."""
    client.create_base(kb_id)
    there = {document.name: document for document in client.documents(kb_id)}
    adding = _Adding(client, kb_id, there)
    outcomes = []
    for number, (name, file) in enumerate(files.items(), 1):
        outcome = adding.add(name, file, f"{number}/{len(files)} {name}", quiet=quiet)
        outcomes.append(outcome)
        if not quiet:
            _tell(outcome)
    if not quiet:
        _sum_up(kb_id, outcomes)
    return outcomes


class _Adding:
    """One base, and what is in it."""

    def __init__(
        self, client: KnowledgeClient, kb_id: str, there: dict[str, DocumentPublic]
    ) -> None:
        self._client = client
        self._kb_id = kb_id
        self._there = there
        self._names = {each.sha256: each.name for each in there.values() if each.sha256}

    def add(self, name: str, file: Path, title: str, *, quiet: bool) -> Outcome:
        try:
            with file.open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            return Outcome(name, "failed", f"It cannot be read here: {error.strerror}.")
        before = self._there.get(name)
        if before is not None and before.sha256 == sha256:
            return Outcome(name, "unchanged")
        if (other := self._names.get(sha256)) is not None:
            return Outcome(name, "unchanged", f"The same file is there as {other}.")
        try:
            document = self._sent(name, file, title, quiet=quiet)
        except Refused as error:
            if error.status not in (413, 422):
                raise
            return Outcome(name, "failed", error.sentence)
        if document.state == "failed":
            return Outcome(name, "failed", document.reason)
        self._names[sha256] = name
        result: Literal["replaced", "added"] = "replaced" if before and before.sha256 else "added"
        return Outcome(name, result, "", document.notes, document.pages, document.passages)

    def _sent(self, name: str, file: Path, title: str, *, quiet: bool) -> DocumentPublic:
        if quiet:
            return self._followed(name, file, lambda step, part: None)
        with bar() as told:
            return self._followed(name, file, partial(_titled, told, title))

    def _followed(self, name: str, file: Path, told: Told) -> DocumentPublic:
        self._client.add(self._kb_id, name, file, told)
        look = partial(self._client.document, self._kb_id, name)
        removed = f"{name} was removed while it was being read."
        return settled(look, told, LOOK_INTERVAL_S, removed)


def show_bases(bases: list[KnowledgePublic]) -> None:
    if not bases:
        say("There is no knowledge base yet. Make one with `tutor kb add NAME FILES`.")
        return
    shown = table("base", "documents", "passages", "searched by")
    for base in bases:
        how = f"full text and {base.embedder}" if base.embedder else "full text"
        shown.add_row(Text(base.kb_id), str(base.documents), str(base.passages), Text(how))
    out.print(shown)


def show_documents(documents: list[DocumentPublic]) -> None:
    shown = table("document", "state", "pages", "passages", "reason")
    for document in documents:
        how = state(document.state)
        if document.state in ("reading", "indexing"):
            how.append(f" {document.progress:.0%}")
        why = document.reason or " ".join(document.notes)
        pages = str(document.pages or "")
        shown.add_row(Text(document.name), how, pages, str(document.passages), Text(why))
    out.print(shown)


def show_found(found: list[FoundPublic]) -> None:
    if not found:
        say("Nothing there fits.")
    for passage in found:
        page = f", page {passage.page}" if passage.page is not None else ""
        heading = f", {passage.heading}" if passage.heading else ""
        say(f"{passage.score:.2f}  {passage.document}{page}{heading}", "bold")
        text = " ".join(passage.text.split())
        say(f"      {text[:SHOWN_CHARS]}{' …' if len(text) > SHOWN_CHARS else ''}")


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [asdict(outcome) for outcome in outcomes]


def _titled(told: Told, title: str, step: str, part: float) -> None:
    told(f"{title}: {step}", part)


def _tell(outcome: Outcome) -> None:
    if outcome.result == "failed":
        complain(f"{outcome.name}: {outcome.reason}")
        return
    if outcome.result == "unchanged":
        say(f"{outcome.name}: unchanged, skipped. {outcome.reason}".rstrip(), "dim")
        return
    pages = f"{outcome.pages} pages, " if outcome.pages else ""
    say(f"{outcome.name}: {outcome.result}, {pages}{outcome.passages} passages.", "green")
    for note in outcome.notes:
        complain(f"  {note}", "yellow")


def _sum_up(kb_id: str, outcomes: Sequence[Outcome]) -> None:
    counts = Counter(outcome.result for outcome in outcomes)
    say(f"{kb_id}: {', '.join(f'{count} {result}' for result, count in counts.items())}.")


def _path(kb_id: str, name: str | None = None) -> str:
    documents = f"{PATH}/{_encoded(kb_id)}/documents"
    return documents if name is None else f"{documents}/{_encoded(name)}"


def _encoded(name: str) -> str:
    return quote(name, safe="")
