"""How the bases are: the rest is in test_ingest.py."""

from pathlib import Path

import pytest

from engines.errors import EngineUnavailable, UnknownKnowledge
from engines.knowledge.base import Document
from engines.knowledge.catalogue import WORDS
from engines.knowledge.embedding import BestEmbedder
from engines.knowledge.index_shelf import Shelf
from tests.engines.knowledge.test_ingest import shop_at
from tests.engines.knowledge.test_library import PASSAGES, Topics


async def test_full_text_alone_is_well_where_no_model_was_ever_used(tmp_path: Path) -> None:
    state = await shop_at(tmp_path).catalogue.state()
    assert (state.engine, state.state) == (WORDS, "ready")
    assert "no embedding model" in state.reason


async def test_a_model_that_is_gone_is_missed_where_it_was_used(tmp_path: Path) -> None:
    model = Topics()
    shop = shop_at(tmp_path, BestEmbedder([model]))
    await shop.catalogue.create("course")
    await shop.library.put("course", Document("1", "a", "f", 1, 0, 40, (), 1.0), PASSAGES)
    assert (await shop.catalogue.state()).state == "ready"
    assert (await shop.catalogue.bases())[0].embedder == "topics"
    model.failing = True
    gone = shop_at(tmp_path, BestEmbedder([model]))
    state = await gone.catalogue.state()
    assert (state.engine, state.state, state.remedy) == (WORDS, "degraded", "It is gone. Start it.")
    assert "topics" in state.reason
    assert (await gone.catalogue.bases())[0].embedder is None


async def test_a_storage_that_is_away_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(shelf: Shelf) -> list[str]:
        raise EngineUnavailable("The storage does not answer.")

    monkeypatch.setattr(Shelf, "bases", away)
    state = await shop_at(tmp_path).catalogue.state()
    assert (state.state, state.reason) == ("unavailable", "The storage does not answer.")
    assert "KNOWLEDGE_URI" in state.remedy


async def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    catalogue = shop_at(tmp_path).catalogue
    for asked in (
        catalogue.documents("none"),
        catalogue.document("none", "a"),
        catalogue.drop("none", "a"),
        catalogue.remove("none"),
        catalogue.search("none", "What is water?"),
    ):
        with pytest.raises(UnknownKnowledge, match="'none'"):
            await asked
    assert (await catalogue.create("none")).documents == 0
    with pytest.raises(UnknownKnowledge, match="'a'"):
        await catalogue.drop("none", "a")


async def test_bases_are_apart_whatever_they_are_called(tmp_path: Path) -> None:
    shop = shop_at(tmp_path)
    for kb_id in ("a/b", "a", "../a"):
        await shop.catalogue.create(kb_id)
        await shop.catalogue.create(kb_id)
    await shop.library.put("a", Document("1", "x", "f", 1, 0, 40, (), 1.0), PASSAGES)
    assert await shop.catalogue.search("a/b", "What do glaciers shape?") == []
    assert [base.kb_id for base in await shop.catalogue.bases()] == ["../a", "a", "a/b"]
