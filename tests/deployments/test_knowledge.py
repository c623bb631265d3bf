import asyncio
from pathlib import Path

import pytest
import yaml
from ray import serve

from deployments import knowledge
from deployments.backend import Backend
from deployments.controller import Controller
from deployments.knowledge import KnowledgeArgs, choose
from deployments.remote import RemoteKnowledge
from deployments.settings import EngineSettings
from engines.base import EngineState
from engines.errors import UnknownKnowledge
from engines.knowledge.index_shelf import Shelf
from engines.knowledge.spool import Spool
from foundation.settings import SettingsError
from tests.running import PROJECT, eventually


def names(**settings: str) -> list[str]:
    return [
        model.name for model in choose(KnowledgeArgs(), EngineSettings.model_validate(settings))
    ]


def test_one_embedding_model_is_meant(tmp_path: Path) -> None:
    assert names() == ["ollama bge-m3"]
    assert names(embedding_model="nomic-embed-text") == ["ollama nomic-embed-text"]
    assert names(embedding_model=str(tmp_path)) == [f"transformers {tmp_path.name}"]
    server = {"embedding_base_url": "http://gpu:8000", "embedding_model": "BAAI/bge-m3"}
    assert names(**server) == ["openai BAAI/bge-m3"]
    assert choose(KnowledgeArgs(engine="words"), EngineSettings()) == []


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://gpu:8000", "http://gpu:8000/v1/embeddings"),
        ("http://gpu:8000/own/", "http://gpu:8000/own/embeddings"),
    ],
)
def test_a_server_is_asked_under_v1_unless_it_has_a_path(given: str, url: str) -> None:
    settings = EngineSettings(embedding_base_url=given, embedding_model="m")
    (model,) = choose(KnowledgeArgs(), settings)
    assert getattr(model, "_url", None) == url


def test_a_server_without_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDING_BASE_URL", "http://gpu:8000")
    with pytest.raises(SettingsError, match="EMBEDDING_MODEL"):
        knowledge.build(KnowledgeArgs())


def test_where_the_bases_are(tmp_path: Path) -> None:
    usual = EngineSettings(tutor_home=tmp_path)
    assert usual.knowledge == str(tmp_path / "knowledge")
    far = EngineSettings(tutor_home=tmp_path, knowledge_uri="s3://bucket/courses")
    assert far.knowledge == "s3://bucket/courses"
    assert far.knowledge_uploads == tmp_path / "knowledge" / "uploads"


async def test_the_bases_behind_their_handle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    backend = Backend("local", 0.5, Controller())
    app = knowledge.build(KnowledgeArgs(engine="words"))
    backend._handle = serve.run(app, name="local", _local_testing_mode=True)
    remote = RemoteKnowledge(backend)
    assert (await remote.create("a/b")).kb_id == "a/b"
    assert [base.kb_id for base in await remote.bases()] == ["a/b"]
    upload = Spool(tmp_path / "knowledge" / "uploads").place()
    upload.write_bytes(b"# Ice")
    Spool(tmp_path / "knowledge" / "uploads").order(upload, "a/b", "ice.md")
    assert [entry.state for entry in await remote.documents("a/b")] == ["waiting"]
    assert (await remote.document("a/b", "ice.md")).name == "ice.md"
    assert await remote.search("a/b", "What is ice?") == []
    await remote.drop("a/b", "ice.md")
    with pytest.raises(UnknownKnowledge, match=r"'ice\.md'"):
        await remote.document("a/b", "ice.md")
    await remote.remove("a/b")
    with pytest.raises(UnknownKnowledge, match="'a/b'"):
        await remote.search("a/b", "What is ice?")


async def test_it_reads_as_soon_as_serve_looks_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    node = knowledge.KnowledgeDeployment(KnowledgeArgs(engine="words"))
    assert (await node.state()).state == "starting"
    await node.create("course")
    spool = Spool(tmp_path / "knowledge" / "uploads")
    upload = spool.place()
    upload.write_bytes(b"# Ice\n\nGlaciers shape valleys.")
    spool.order(upload, "course", "ice.md")
    await node.check_health()
    running = node._running
    await node.check_health()
    assert node._running is running, "not a second time"
    await eventually(lambda: not spool.jobs("course"), 60)
    (found,) = await node.search("course", "What do glaciers shape?")
    assert (found.document, found.passage.heading) == ("ice.md", "Ice")
    assert ((await node.state()).state, (await node.state()).engine) == ("ready", "full text")
    assert running is not None
    running.cancel()
    await asyncio.wait([running])


async def test_the_sample_course_comes_with_the_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    graph = yaml.safe_load((PROJECT / "configs/serve.yaml").read_text("utf-8"))
    told = next(app["args"] for app in graph["applications"] if app["name"] == "knowledge")
    node = knowledge.KnowledgeDeployment(KnowledgeArgs(**{**told, "engine": "words"}))
    monkeypatch.chdir(tmp_path)  # the path starts at the project's folder, not here
    await node.check_health()
    shelf = Shelf(str(tmp_path / "knowledge"))
    await eventually(lambda: shelf.bases() == ["weather"], 60)
    await eventually(lambda: len(shelf.version("weather").shelved) == 4, 60)
    running = node._running
    assert running is not None
    running.cancel()
    await asyncio.wait([running])


async def test_without_the_argument_there_is_no_sample_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    node = knowledge.KnowledgeDeployment(KnowledgeArgs(engine="words"))
    await node._put_sample()
    assert await node.bases() == []


async def test_a_failure_of_our_own_is_told_and_documents_are_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    node = knowledge.KnowledgeDeployment(KnowledgeArgs(engine="words"))

    async def broken() -> EngineState:
        raise RuntimeError("a defect")

    monkeypatch.setattr(node._catalogue, "state", broken)
    await node.create("course")
    spool = Spool(tmp_path / "knowledge" / "uploads")
    upload = spool.place()
    upload.write_bytes(b"Glaciers shape valleys.")
    await node.check_health()
    running = node._running
    assert running is not None
    await eventually(lambda: node._state.state == "unavailable")
    spool.order(upload, "course", "ice.md")
    await eventually(lambda: not spool.jobs("course"), 60)
    assert [entry.state for entry in await node.documents("course")] == ["ready"]
    running.cancel()
    await asyncio.wait([running])
