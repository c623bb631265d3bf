"""Tutors with faces of clips, through the whole server, with a MuseTalk of tiny weights: uploaded,
prepared, spoken with, seen over the socket and live."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytest.importorskip("diffusers", reason="the models of the tests are made with it")

from cli.environment import THROUGHPUT
from engines.avatar.musetalk.prepared import PreparedAvatar, discard
from engines.base import Pixels
from tests.filmed import ALBUM, Album, Kept
from tests.live import Learner
from tests.media import film
from tests.running import (
    PROJECT,
    Event,
    Running,
    application,
    eventually,
    free_port,
    graph,
    serving,
)
from tests.tiny_musetalk import make_tiny_musetalk
from tests.uploads import clip

pytestmark = pytest.mark.cluster

COLOURS = {"Red": (20, 40, 220), "Blue": (220, 60, 20)}
"""BGR of everything in the clip."""

BOX = "0.35,0.3,0.65,0.7"
CLIP_FRAMES = 30
WORDS = ["Water ", "is ", "wet. ", "It ", "falls ", "as ", "rain, ", "and ", "runs ", "to ", "sea."]

ON_THE_WAY_S = 0.4
"""Packets that had left when the turn was cut, and a machine that is busy."""

TUTOR = 77
"""Nobody in the usual file."""

LIMIT_S = 90.0
"""For what takes some seconds on a machine that has nothing else to do."""


def coloured(colour: tuple[int, int, int]) -> bytes:
    """A clip in which no two frames are the same, and which is large enough for a face."""
    y, x = np.mgrid[0:512, 0:512]
    pictures = []
    for index in range(CLIP_FRAMES):
        pattern = (12 * np.sin((x + 9 * index) / 23) + 12 * np.cos(y / 31))[:, :, None]
        pictures.append(np.asarray(np.clip(np.array(colour) + pattern, 0, 255), np.uint8))
    return clip(pictures)


@dataclass(frozen=True)
class Filmed:
    """An engine with the faces Red and Blue."""

    engine: Running
    album: Album
    avatars: Path
    tutors: Path

    def avatar(self, name: str) -> PreparedAvatar:
        return PreparedAvatar.open(self.avatars / name)

    def health(self) -> Event:
        told: Event = httpx.get(f"{self.engine.url}/health", timeout=20).json()["engines"]["avatar"]
        return told


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_musetalk(tmp_path_factory.mktemp("musetalk"))


@pytest.fixture(scope="module", params=["default", "throughput"])
def filmed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: Path
) -> Iterator[Filmed]:
    home = tmp_path_factory.mktemp(request.param)
    album = home / "album"
    album.mkdir()
    tutors = home / "tutors.yaml"
    tutors.write_text((PROJECT / "configs/tutors.yaml").read_text("utf-8"), "utf-8")

    def with_musetalk(config: dict[str, Any]) -> None:
        avatar = application(config, "avatar")
        avatar["import_path"] = "tests.filmed:build"
        avatar["args"] = {"engine": "musetalk", "device": "cpu", "decoder": "tiny"}
        application(config, "gateway")["args"] = {"tutors": str(tutors)}
        application(config, "llm-default")["args"] = {"engine": "stub", "stub": {"tokens": WORDS}}

    environ = {
        ALBUM: str(album),
        "MUSETALK_MODELS": str(models),
        "PYTHONPATH": str(PROJECT),  # the replica imports its album from the tests
        "BACKEND_WAIT_SECONDS": "60",
    }
    environ |= THROUGHPUT if request.param == "throughput" else {}
    with serving(home, graph(free_port(), with_musetalk), environ) as engine:
        running = Filmed(engine, Album(album), home / "avatars", tutors)
        asyncio.run(eventually(lambda: running.health()["state"] == "ready", LIMIT_S))
        for name, colour in COLOURS.items():
            add(running, name, coloured(colour), home)
        yield running


def add(filmed: Filmed, name: str, data: bytes, home: Path) -> None:
    """As a person does it."""
    file = home / f"{name}.mp4"
    file.write_bytes(data)
    tutor = [str(Path(sys.executable).with_name("tutor")), "avatar", "add", name, str(file)]
    done = subprocess.run(
        [*tutor, "--box", BOX, "--url", filmed.engine.url], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name} is ready: {CLIP_FRAMES} frames" in done.stdout


async def answered(filmed: Filmed, name: str, student_id: int) -> str:
    """The answer to a question, as an MP4 with this face, in base64."""
    async with filmed.engine.conversation(student_id=student_id) as (_, talk):
        await talk.send(type="text", content="What is water?", avatar_id=name)
        answer = (await talk.until("video", "error"))[-1]
    assert answer["type"] == "video", answer
    return str(answer["video"])


def pasted(avatar: PreparedAvatar, kept: Kept) -> Pixels:
    """The whole frame as it goes into the encoder."""
    frame = avatar.frame(kept.frame).copy()
    height, width = kept.pixels.shape[:2]
    frame[kept.y : kept.y + height, kept.x : kept.x + width] = kept.pixels
    return frame


def mouth(avatar: PreparedAvatar, frame: int) -> Pixels:
    """Where the model may draw: bool [512, 512]."""
    place = avatar.place(frame)
    left, top, right, bottom = place.box
    seen = np.zeros((512, 512), np.uint8)
    seen[top:bottom, left:right] = place.mask
    return seen


def assert_only_its_mouth_moves(avatar: PreparedAvatar, kept: list[Kept]) -> None:
    changed = 0
    for each in kept:
        source, shown = avatar.frame(each.frame), pasted(avatar, each)
        seen = mouth(avatar, each.frame)
        assert np.array_equal(shown[seen == 0], source[seen == 0]), "the rest is as it was filmed"
        changed += bool((shown[seen == 255] != source[seen == 255]).mean() > 0.5)
    assert changed > len(kept) / 2


async def test_two_tutors_speak_at_once_each_with_its_own_face(filmed: Filmed) -> None:
    filmed.album.empty()
    videos = await asyncio.gather(answered(filmed, "Red", 1), answered(filmed, "Blue", 2))
    for name, video in zip(COLOURS, videos, strict=True):
        avatar, kept, shown = filmed.avatar(name), filmed.album.frames(name), film(video).frames
        assert [each.frame for each in kept] == list(range(kept[0].frame, kept[-1].frame + 1))
        assert len(shown) == len(kept) > 25
        assert_only_its_mouth_moves(avatar, kept)
        for each, picture in zip(kept, shown, strict=True):
            error = np.abs(picture.astype(int) - pasted(avatar, each)).mean()
            assert error < 8, "what was sent is what was made"
            assert distance(picture[:40], name) < 40, f"the face of {name}"


async def test_the_batches_that_they_share_are_told_of(filmed: Filmed) -> None:
    await asyncio.gather(*(answered(filmed, name, 3 + i) for i, name in enumerate(COLOURS)))
    reason = filmed.health()["reason"]
    assert "frames each" in reason

    await eventually(lambda: shared_batches(filmed) > 0, LIMIT_S)


def shared_batches(filmed: Filmed) -> float:
    """How many batches were for several sessions, by the metrics of all nodes."""
    shared = 0.0
    for port in filmed.album.metrics_ports():
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        for family in text_string_to_metric_families(page):
            samples = family.samples if "avatar_batch_sessions" in family.name else []
            shared += sum(each.value for each in samples if each.name.endswith("_count"))
            buckets = [each for each in samples if each.name.endswith("_bucket")]
            of_one = [each.value for each in buckets if float(each.labels["le"]) < 2]
            shared -= max(of_one, default=0.0)
    return shared


async def test_a_live_tutor_changes_its_face_moves_its_mouth_and_stops_at_once(
    filmed: Filmed,
) -> None:
    avatar = filmed.avatar("Red")
    async with (
        filmed.engine.conversation(student_id=5) as (session, talk),
        Learner(talk, 5, session.id) as learner,
    ):
        learner.keep_pixels = True
        await learner.connect("anna")
        await learner.until(lambda: len(learner.frames) > 10)
        filmed.album.empty()
        await learner.ask("Tell me of water.", avatar_id="Red")
        heard = await learner.until_loud()
        await learner.until(lambda: learner.frames[-1].at_s > heard.at_s + 0.6)
        await talk.send(type="interrupt")
        await talk.until("interrupted")
        cut_s = time.monotonic() + ON_THE_WAY_S
        await learner.until(lambda: learner.frames[-1].at_s > cut_s)
        kept = filmed.album.frames("Red")
        await learner.until(lambda: learner.frames[-1].at_s > cut_s + 1.0)
        frames = learner.frames
    assert len(filmed.album.frames("Red")) == len(kept), "nothing of it is made any more"
    assert_only_its_mouth_moves(avatar, kept)
    assert [each.frame for each in kept] == list(range(kept[0].frame, kept[0].frame + len(kept)))
    seen = mouth(avatar, 0) == 255
    still = [motion(avatar, f.pixels, seen) for f in frames if f.at_s > cut_s]
    spoken = [motion(avatar, f.pixels, seen) for f in frames if heard.at_s < f.at_s < cut_s]
    assert max(spoken) > 3 * max(still), "no frame of the cut turn is seen later"
    assert filmed.album.ends()[-1].waiting == 0, "its place in the batch is free"
    rims = [(f.at_s, distance(f.pixels[:40], "Red")) for f in frames if f.pixels is not None]
    assert rims[5][1] > 40, "a drawn face at first"
    assert max(far for at_s, far in rims if at_s > heard.at_s) < 40, "then the filmed one"


def distance(picture: Pixels, name: str) -> float:
    """Of the mean colour from that of a face."""
    return float(np.abs(picture.reshape(-1, 3).mean(axis=0) - COLOURS[name]).max())


def motion(avatar: PreparedAvatar, picture: Pixels | None, seen: Pixels) -> float:
    """How far the mouth is from the nearest frame of the clip."""
    assert picture is not None
    return min(
        float(np.abs(picture[seen].astype(int) - avatar.frame(i)[seen]).mean())
        for i in range(CLIP_FRAMES)
    )


async def test_a_face_that_cannot_be_found_is_refused_with_what_is_lacking(filmed: Filmed) -> None:
    async with filmed.engine.http() as http:
        added = await http.post(
            "/v1/avatars", params={"name": "Nobody"}, content=coloured(COLOURS["Red"])
        )
        assert added.status_code == 202, added.text
        async with http.stream("GET", "/v1/avatars/Nobody/events") as events:
            told = [
                json.loads(line.removeprefix("data: "))
                async for line in events.aiter_lines()
                if line.startswith("data: ")
            ]
        assert told[-1]["state"] == "failed"
        assert "dwpose" in told[-1]["reason"]
        assert (await http.delete("/v1/avatars/Nobody")).status_code == 204


async def test_a_tutor_whose_face_is_deleted_speaks_with_a_drawn_one(
    filmed: Filmed, tmp_path: Path
) -> None:
    add(filmed, "Short", coloured((40, 220, 40)), tmp_path)
    usual = filmed.tutors.read_text("utf-8")
    own = f"  {TUTOR}:\n    name: Shorty\n    face: Short\n"
    filmed.tutors.write_text(usual.replace("\ntutors:\n", f"\ntutors:\n{own}", 1), "utf-8")

    async def first_pixel() -> Pixels:
        async with filmed.engine.conversation(tutor_id=TUTOR, student_id=6) as (_, talk):
            await talk.send(type="text", content="Hello.", avatar_id=f"avatar_tutor_{TUTOR}")
            answer = (await talk.until("video", "error"))[-1]
        assert answer["type"] == "video", answer
        return np.asarray(film(answer["video"]).frames[0][0, 0], np.uint8)

    async def is_green() -> bool:
        blue, green, red = (await first_pixel()).tolist()
        return bool(green > 150 > blue + red)

    async with asyncio.timeout(LIMIT_S):
        while not await is_green():  # the file is read again within seconds
            pass
    async with filmed.engine.http() as http:
        kept = await http.delete("/v1/avatars/Short")
    assert (kept.status_code, kept.json()["detail"][:26]) == (409, "It is the face of Shorty. ")
    discard(filmed.avatars / "Short")
    assert not await is_green(), "a drawn face stands in"
    async with filmed.engine.conversation(student_id=7) as (_, talk):
        await talk.send(type="text", content="Hello.", avatar_id="Short")
        refused = (await talk.until("video", "error"))[-1]
    assert refused["type"] == "error"
    assert "There is no face 'Short'" in refused["content"]
