"""`tutor kb`: knowledge bases, what a tutor knows of its course."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import WrongUsage
from cli.options import Key, Url
from cli.surroundings import api_key, settings_in_force
from cli.telling import FAILED, told

if TYPE_CHECKING:
    from cli.documents import KnowledgeClient

kb = typer.Typer(
    help="Give the tutors their courses: PDF, DOCX, PPTX, Markdown, HTML, TXT and CSV.",
    no_args_is_help=True,
)

Base = Annotated[str, typer.Argument(metavar="BASE", help="The knowledge base's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@kb.command()
def create(base: Base, url: Url = None, key: Key = None) -> None:
    """Make an empty base; nothing happens when it exists. `add` does it, too."""
    with _client(url, key) as client:
        from cli.screen import say

        made = client.create_base(base)
        say(f"{made.kb_id} has {made.documents} documents.")


@kb.command()
def add(
    base: Base,
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Files, and folders of files.")
    ],
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Send files and folders, and wait until they are read.

    What has not changed is skipped; a changed file replaces its old version. Those of a folder are
    called after their places in it.
    """
    with _client(url, key) as client:
        from cli import documents
        from cli.status import show_json

        files = documents.files_of(paths)
        outcomes = documents.add(client, base, files, quiet=as_json)
        if as_json:
            show_json({"kb_id": base, "documents": documents.as_json(outcomes)})
        if any(outcome.result == "failed" for outcome in outcomes):
            raise typer.Exit(FAILED)


@kb.command("list")
def list_(
    base: Annotated[
        str | None, typer.Argument(metavar="BASE", help="Of which the documents are listed.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the bases and how they are searched, or the documents of one."""
    with _client(url, key) as client:
        from cli import documents
        from cli.status import show_json

        if base is None:
            bases = client.bases()
            if as_json:
                show_json({"bases": [each.model_dump(mode="json") for each in bases]})
            else:
                documents.show_bases(bases)
            return
        found = client.documents(base)
        if as_json:
            listed = [each.model_dump(mode="json") for each in found]
            show_json({"kb_id": base, "documents": listed})
        else:
            documents.show_documents(found)


@kb.command()
def search(
    base: Base,
    question: Annotated[str, typer.Argument(help="As a student would ask it.")],
    limit: Annotated[int, typer.Option(help="Passages to show.", min=1, max=20)] = 3,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show which passages a tutor would find for a question."""
    with _client(url, key) as client:
        from cli import documents
        from cli.status import show_json

        found = client.search(base, question, limit)
        if as_json:
            show_json({"kb_id": base, "found": [each.model_dump(mode="json") for each in found]})
        else:
            documents.show_found(found)


@kb.command()
def remove(
    base: Base,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="DOCUMENTS", help="As `list` shows them.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The base with all that is in it.")
    ] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Remove documents, also such as are still being read, or a whole base."""
    with _client(url, key) as client:
        from cli.screen import say

        if bool(names) == everything:
            raise WrongUsage("Name the documents to remove, or give --all for the whole base.")
        for name in names or []:
            client.remove(base, name)
            say(f"{name} is removed.")
        if everything:
            client.remove(base)
            say(f"{base} is removed.")


@contextmanager
def _client(url: str | None, key: str | None) -> "Iterator[KnowledgeClient]":
    with told():
        from cli.documents import KnowledgeClient

        settings = settings_in_force()
        with KnowledgeClient(url or settings.http_url, api_key(settings, key)) as client:
            yield client
