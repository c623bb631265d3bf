"""`tutor kb` against a gateway with real bases."""

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from cli.documents import KnowledgeClient, add, files_of
from cli.errors import WrongUsage
from engines.knowledge.documents.limits import LIMIT_BYTES
from serve_app.knowledge import Desk
from tests.cli.conftest import Tutor
from tests.documents_made import worksheet
from tests.engines.knowledge.test_ingest import Shop, shop_at
from tests.running import free_port
from tests.serve_app.test_knowledge import api_over

THERE = ("--api-key", "key", "--url")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return shop_at(tmp_path / "knowledge")


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with shop.working():
            yield

    port = free_port()
    api = api_over(Desk(shop.catalogue, shop.spool))
    api.router.lifespan_context = lifespan
    server = uvicorn.Server(uvicorn.Config(api, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as probe:
        probe.get(f"{address}/v1/knowledge")
    yield address
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder with two files that are read, and two that are not."""
    folder = tmp_path / "course"
    (folder / "unit 1").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "unit 1" / "sheet.docx").write_bytes(worksheet())
    (folder / "ice.md").write_text("# Ice\n\nGlaciers shape valleys.")
    (folder / "program.exe").write_bytes(b"MZ\x90\0 a program")
    (folder / ".git" / "notes.md").write_text("Not for students.")
    return folder


def test_a_course_is_added_listed_searched_and_removed(
    url: str, course: Path, tutor: Tutor
) -> None:
    added = tutor("kb", "add", "a/b", str(course), *THERE, url)
    assert added.exit_code == 0, added.output
    assert "ice.md: added, 1 passages." in added.output
    assert "unit 1/sheet.docx: added" in added.output
    assert "hidden" in added.output
    assert added.output.splitlines()[-1] == "a/b: 2 added."
    assert "2/2 unit 1/sheet.docx: sending …".capitalize() in added.output

    (course / "ice.md").write_text("# Ice\n\nGlaciers shape deep valleys.")
    again = tutor("kb", "add", "a/b", str(course), *THERE, url)
    assert "ice.md: replaced, 1 passages." in again.output
    assert "unit 1/sheet.docx: unchanged, skipped." in again.output

    bases = tutor("kb", "list", *THERE, url)
    assert ["a/b", "2"] in [line.split()[:2] for line in bases.output.splitlines()]
    assert "full text" in bases.output
    listed = tutor("kb", "list", "a/b", *THERE, url)
    assert "unit 1/sheet.docx" in listed.output
    found = tutor("kb", "search", "a/b", "What do glaciers shape?", *THERE, url)
    assert "ice.md, Ice" in found.output
    assert "Glaciers shape deep valleys." in found.output
    nothing = tutor("kb", "search", "a/b", "Who wrote Hamlet?", *THERE, url)
    assert (nothing.exit_code, nothing.output.strip()) == (0, "Nothing there fits.")

    removed = tutor("kb", "remove", "a/b", "unit 1/sheet.docx", *THERE, url)
    assert (removed.exit_code, removed.output.strip()) == (0, "unit 1/sheet.docx is removed.")
    assert tutor("kb", "remove", "a/b", "none", *THERE, url).exit_code == 1
    assert tutor("kb", "remove", "a/b", "--all", *THERE, url).exit_code == 0
    assert "no knowledge base" in tutor("kb", "list", *THERE, url).output
    gone = tutor("kb", "list", "a/b", *THERE, url)
    assert (gone.exit_code, "HTTP 404" in gone.output) == (1, True)


def test_programs_get_json(url: str, course: Path, tutor: Tutor) -> None:
    added = json.loads(tutor("kb", "add", "c", str(course), "--json", *THERE, url).output)
    assert [(each["name"], each["result"]) for each in added["documents"]] == [
        ("ice.md", "added"),
        ("unit 1/sheet.docx", "added"),
    ]
    bases = json.loads(tutor("kb", "list", "--json", *THERE, url).output)["bases"]
    assert [(base["kb_id"], base["documents"], base["embedder"]) for base in bases] == [
        ("c", 2, None)
    ]
    documents = json.loads(tutor("kb", "list", "c", "--json", *THERE, url).output)["documents"]
    assert {document["state"] for document in documents} == {"ready"}
    asked = ("kb", "search", "c", "What do glaciers shape?", "--limit", "1", "--json")
    (found,) = json.loads(tutor(*asked, *THERE, url).output)["found"]
    assert (found["document"], found["page"], found["heading"]) == ("ice.md", None, "Ice")


def test_what_fails_is_told_and_the_rest_is_added(
    url: str, course: Path, tmp_path: Path, tutor: Tutor
) -> None:
    large = tmp_path / "large.pdf"
    with large.open("wb") as opened:
        opened.truncate(LIMIT_BYTES + 1)
    copy = tmp_path / "copy.md"
    copy.write_bytes((course / "ice.md").read_bytes())
    paths = (str(course / "program.exe"), str(large), str(course / "ice.md"), str(copy))
    added = tutor("kb", "add", "c", *paths, *THERE, url)
    assert added.exit_code == 1
    assert "program.exe: " in added.output
    assert "100 MB" in added.output
    assert "ice.md: added" in added.output
    assert "copy.md: unchanged, skipped. The same file is there as ice.md." in added.output
    assert "c: 2 failed, 1 added, 1 unchanged." in added.output
    why = tutor("kb", "list", "c", *THERE, url)
    assert "failed" in why.output


def test_wrong_usage(url: str, tmp_path: Path, tutor: Tutor) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, told in (
        (("add", "c", str(tmp_path / "none")), "no file or folder"),
        (("add", "c", str(tmp_path / "empty")), "No file that can be read"),
        (("remove", "c"), "--all"),
        (("remove", "c", "a", "--all"), "--all"),
    ):
        wrong = tutor("kb", *arguments, *THERE, url)
        assert (wrong.exit_code, told in wrong.output) == (2, True), wrong.output


def test_two_files_of_one_name_are_refused(course: Path, tmp_path: Path) -> None:
    other = tmp_path / "ice.md"
    other.write_text("Another one.")
    with pytest.raises(WrongUsage, match=r"'ice\.md'"):
        files_of([course / "ice.md", other])


def test_the_key_and_an_engine_are_needed(url: str, course: Path, tutor: Tutor) -> None:
    refused = tutor("kb", "list", "--url", url)
    assert refused.exit_code == 1
    away = tutor("kb", "add", "c", str(course))
    assert (away.exit_code, "`tutor up`" in away.output) == (1, True)


def test_an_empty_base(url: str, tutor: Tutor) -> None:
    for _ in range(2):
        made = tutor("kb", "create", "c", *THERE, url)
        assert (made.exit_code, made.output.strip()) == (0, "c has 0 documents.")


async def test_one_removed_meanwhile_is_told(
    url: str, shop: Shop, course: Path, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.spool.order

    def order_and_drop(upload: Path, kb_id: str, name: str) -> object:
        job = order(upload, kb_id, name)
        shop.spool.drop(kb_id, name)
        return job

    monkeypatch.setattr(shop.spool, "order", order_and_drop)
    added = await asyncio.to_thread(tutor, "kb", "add", "c", str(course / "ice.md"), *THERE, url)
    assert (added.exit_code, "was removed while" in added.output) == (1, True)


def test_a_name_that_cannot_be_sent_is_told(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff.txt")).write_text("x")
    with pytest.raises(WrongUsage, match="cannot be shown") as told:
        files_of([tmp_path])
    assert told.value.sentence.isprintable()


def test_a_file_that_cannot_be_read_ends_no_other(url: str, course: Path) -> None:
    files = {"gone.md": course / "gone.md", "ice.md": course / "ice.md"}
    with KnowledgeClient(url, "key") as client:
        outcomes = add(client, "c", files, quiet=True)
    assert [(each.name, each.result) for each in outcomes] == [
        ("gone.md", "failed"),
        ("ice.md", "added"),
    ]
    assert "No such file" in outcomes[0].reason
