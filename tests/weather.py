"""A gateway without Ray whose tutor has no language model and knows the sample course, really read
and really searched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engines.knowledge.catalogue import Catalogue
from engines.knowledge.documents.extract import extract
from engines.knowledge.embedding import BestEmbedder
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.library import Library
from engines.knowledge.passages import passages
from engines.knowledge.spool import Spool
from engines.llm.offline import OfflineLlm
from serve_app import knowing
from serve_app.settings import Settings
from tests.course import FOLDER, chapters
from tests.engines.knowledge.bases import document
from tests.running import Running, plain, stub_engines

KB = "weather"


@contextmanager
def weather_gateway(home: Path, **settings: Any) -> Iterator[Running]:
    """With the sample course in the base `weather`, and an empty base `nothing-yet`."""
    shelved = read_course(home)
    engines = stub_engines(
        think=lambda tutor: OfflineLlm("any"), knowledge=shelved, bases=shelved, chapters=_chapters
    )
    settled = Settings(tutor_home=home, **settings)
    with pytest.MonkeyPatch.context() as patch, plain(settled, engines) as running:
        # A loaded machine may need longer than a learner would wait.
        patch.setattr(knowing, "SEARCH_LIMIT_S", 30.0)
        yield running


def read_course(home: Path) -> Catalogue:
    uri, embedder = str(home / "knowledge"), BestEmbedder(())
    index = KnowledgeIndex(uri)
    index.create("nothing-yet")
    index.create(KB)
    for file in sorted(FOLDER.glob("*.md")):
        index.put(KB, document(file.name), passages(extract(file, file.name)))
    spool = Spool(home / "knowledge" / "uploads")
    return Catalogue(uri, Library(index, embedder), spool, embedder)


async def _chapters(kb_id: str) -> list[str]:
    return list(chapters()) if kb_id == KB else []
