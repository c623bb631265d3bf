"""MuseTalk on a GPU (figure 10), against what the GPU can reckon and against the published loop.

Networks of the published size with made-up weights, and the engine as it is deployed, without Ray:
frames a second of four sessions that always want more, how long the first frame takes, the memory,
and how many live sessions are kept supplied with 25 frames a second. Everything in one run of at
most `--limit-s`; each part has a bound of its own, and one that fails does not stop the others.

`--tiny`: the same with networks of a few channels, on whatever there is, to try the program.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import cv2
import numpy as np
import torch

from benchmarks.measure import median, percentile
from benchmarks.musetalk.live_faces import (
    HEARD,
    SESSIONS,
    cue,
    face,
    first_ms,
    frames_between,
    speaking,
    watch,
)
from benchmarks.musetalk.networks import PUBLISHED, SMALL, write
from benchmarks.musetalk.official_loop import BATCH, OfficialLoop
from benchmarks.musetalk.plan import NOMINAL, Account, Plan, clock_ms, peak_tflops, tflop_a_frame
from engines.avatar.musetalk.batches import Array, free_memory
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.features import Chunks
from engines.avatar.musetalk.model import MuseTalkModel, MuseTalkOptions
from engines.avatar.musetalk.prepared import AvatarCache
from engines.avatar.musetalk.scheduler import Scheduler
from engines.avatar.musetalk.speech import FRAME_SAMPLES, Stretch, sound
from engines.avatar.musetalk.vae import Decoder
from engines.base import FPS, Pixels
from engines.errors import EngineError
from tests.engines.avatar.musetalk.avatars import prepared

COLOURS = ((20, 40, 220), (220, 60, 20), (30, 200, 40), (180, 180, 30))
POSES = 16
"""Frames of an avatar's clip."""

LEAST_FPS = 0.98 * FPS
"""24.5: of a stream that is held."""

INTERVAL_LIMIT_MS = 60.0
"""Between two frames of a stream that is held, in 99 of 100 cases."""


class Told:
    """The model, whose features are known already: the published loop's are, too."""

    def __init__(self, model: MuseTalkModel, chunks: Chunks) -> None:
        self._model, self._chunks = model, chunks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def chunks(self, stretches: Sequence[Stretch]) -> list[Chunks]:
        begins = [stretch.begin // FRAME_SAMPLES for stretch in stretches]
        return [
            self._chunks[begin : begin + stretch.frames]
            for begin, stretch in zip(begins, stretches, strict=True)
        ]


class Bench:
    """One decoder."""

    def __init__(self, plan: Plan, folder: Path, decoder: Decoder, account: Account) -> None:
        self.plan, self.account, self.decoder = plan, account, decoder
        self.name = f"{plan.name}_{decoder}"
        self.models = folder / "models"
        avatars = AvatarCache(folder / "avatars", 10**9)
        free_memory()
        if plan.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        began_s = time.perf_counter()
        options = MuseTalkOptions(device=plan.device.type, decoder=decoder, sizes=plan.sizes)
        self.model = MuseTalkModel.load(self.models, options)
        account.say(f"{decoder}: loaded in {time.perf_counter() - began_s:.1f} s")
        if not (folder / "avatars").exists():
            for session, colour in enumerate(COLOURS):
                prepared(folder / "avatars", face(session), colour, self._latents, POSES)
        self.shown = avatars.get(face(0))
        self.chunks = self.model.chunks([Stretch.whole(sound(HEARD.samples))])[0]
        told = cast(MuseTalkModel, Told(self.model, self.chunks))
        self._told = Scheduler(told, overlap=plan.on_gpu)
        self.told = MuseTalkAvatar(told, avatars, self._told)
        live = Scheduler(self.model, overlap=plan.on_gpu)
        self.live = MuseTalkAvatar(self.model, avatars, live)
        self.ideal_first_ms = 0.0
        self.path_fps = 0.0
        self.official_fps = 0.0
        """Of the published loop with its own decoder, once it is known."""

    def _latents(self, faces: Pixels) -> Array:
        return np.asarray(self.model.latents(faces), np.float16)

    def close(self) -> None:
        """Give the GPU's memory back."""
        self._told.close()
        self.live.close()
        del self.told, self._told, self.live, self.model
        free_memory()

    def inputs(self, count: int) -> tuple[Array, Array]:
        latents = np.stack([self.shown.latent(index) for index in range(count)])
        return latents, self.chunks[FPS : FPS + count]

    # ── the networks alone ────────────────────────────────────────────────────────────────────

    def alone(self) -> None:
        for size in self.model.sizes:
            spent_ms = median([self.batch_ms(size) for _ in range(self.plan.firsts)])
            self.account.figure(f"{self.name}_batch_of_{size}", spent_ms, "ms")
        hearing = Stretch(sound(HEARD.samples), 0, 2)
        heard_ms = median(
            [clock_ms(lambda: self.model.chunks([hearing])) for _ in range(self.plan.firsts)]
        )
        self.account.figure(f"{self.name}_hearing", heard_ms, "ms")
        self.ideal_first_ms = heard_ms + median([self.batch_ms(2) for _ in range(self.plan.firsts)])
        if not self.model.faces(*self.inputs(self.model.sizes[-1])).finite.all():
            raise ValueError("the made-up weights run over: what was measured is worth nothing")

    def batch_ms(self, size: int) -> float:
        latents, chunks = self.inputs(size)
        return clock_ms(lambda: self.model.start(latents, chunks).wait())

    def networks(self, size: int) -> float:
        """Frames a second in batches of this size, the next one begun while one is being made."""
        latents, chunks = self.inputs(size)
        under_way = self.model.start(latents, chunks)
        count, began_s = 0, time.perf_counter()
        while time.perf_counter() - began_s < self.plan.round_s / 2:
            following = self.model.start(latents, chunks)
            under_way.wait()
            under_way, count = following, count + size
        spent_s = time.perf_counter() - began_s
        under_way.wait()
        return count / spent_s

    async def memory(self) -> None:
        """Before the published loop is loaded beside it."""
        if not self.plan.on_gpu:
            self.account.say("memory is only measured on a GPU")
            return
        whole = torch.cuda.get_device_properties(self.plan.device).total_memory / 1e9
        for what, held in (
            ("now", torch.cuda.memory_allocated()),
            ("peak_allocated", torch.cuda.max_memory_allocated()),
            ("peak_reserved", torch.cuda.max_memory_reserved()),
        ):
            self.account.figure(f"{self.name}_memory_{what}", held / 1e9, "GB", control=whole)

    # ── frames a second ───────────────────────────────────────────────────────────────────────

    async def throughput(self) -> None:
        """Ours and the published loop in turn, so that a busy machine slows both alike."""
        plan = self.plan
        plain = OfficialLoop(self.models, plan.device, plan.dtype, self.decoder == "tiny")
        plain.tell(self.shown, self.chunks)
        gflop = 1000 * tflop_a_frame(plan, self.decoder)
        self.account.say(f"a frame is reckoned as {gflop:.1f} GFLOP")
        await self.compare(plain)
        ways: dict[str, Callable[[], Awaitable[float]]] = {
            "path": lambda: self.always(self.told),
            "path_and_hearing": lambda: self.always(self.live),
            "plain": lambda: asyncio.to_thread(plain.run, plan.settle_s + plan.round_s),
            "plain_networks": lambda: asyncio.to_thread(plain.networks, plan.round_s / 2),
        }
        for size in self.model.sizes[-2:]:
            ways[f"networks_{size}"] = partial(asyncio.to_thread, self.networks, size)
        await asyncio.to_thread(plain.faces, 0, BATCH)  # warm
        seen: dict[str, list[float]] = {name: [] for name in ways}
        limits = []
        for number in range(plan.rounds):
            for name, way in ways.items():
                seen[name].append(await way())
            limits.append(peak_tflops(plan) / tflop_a_frame(plan, self.decoder))
            told = ", ".join(f"{name} {fps[-1]:.1f}" for name, fps in seen.items())
            self.account.say(f"round {number + 1}: {told} frames/s")
        self._tell({name: median(fps) for name, fps in seen.items()}, max(limits))

    def _tell(self, fps: dict[str, float], limit: float) -> None:
        self.path_fps = fps["path"]
        if self.decoder != "tiny":
            self.official_fps = fps["plain"]
        elif self.official_fps:
            name = f"{self.name}_path_of_official"
            self.account.figure(name, fps["path"], "frames/s", control=self.official_fps)
        plain = {"path": "plain", "path_and_hearing": "plain"}
        ours = [name for name in fps if "plain" not in name]
        for name in ours:
            control = fps[plain.get(name, "plain_networks")]
            goal = "ratio ≥ 2" if name == "path" else "-"
            self.account.figure(
                f"{self.name}_{name}", fps[name], "frames/s", control=control, goal=goal
            )
        for name in [*ours, "plain"]:
            goal = "ratio ≥ 0.45" if name == "path" else "-"
            self.account.figure(
                f"{self.name}_{name}_of_limit", fps[name], "frames/s", control=limit, goal=goal
            )

    async def always(self, avatar: MuseTalkAvatar) -> float:
        """Frames a second of sessions that always want more, once all of them are supplied."""
        from_s = time.perf_counter() + self.plan.settle_s
        until_s = from_s + self.plan.round_s
        counts = await asyncio.gather(
            *(frames_between(avatar, session, from_s, until_s) for session in range(SESSIONS))
        )
        return sum(counts) / self.plan.round_s

    async def compare(self, plain: OfficialLoop) -> None:
        """That both show the same, so that their times can be compared."""
        count, far = 8, []
        faces = plain.faces(FPS, count)
        async for patch in self.told.animate(HEARD, cue(0, count)):
            for number, pixels in enumerate(patch.pixels, patch.first_frame):
                whole = plain.pasted(number, faces[number - FPS])
                height, width = pixels.shape[:2]
                there = whole[patch.y : patch.y + height, patch.x : patch.x + width]
                far.append(float(np.abs(there.astype(int) - pixels).mean()))
        name = f"{self.name}_difference_from_plain"
        self.account.figure(name, max(far), "grey levels", goal="≤ 1")

    # ── live ──────────────────────────────────────────────────────────────────────────────────

    async def first_frames(self) -> None:
        for others, company in ((0, "alone"), (3, "beside_3")):
            async with speaking(self.live, others):
                await first_ms(self.live, others)  # warm
                spent = []
                for number in range(self.plan.firsts):
                    await asyncio.sleep(0.05 + number * 0.037 % 0.2)  # at any moment of theirs
                    spent.append(await first_ms(self.live, others))
            for percent in (50, 95):
                self.account.figure(
                    f"{self.name}_first_frame_{company}_p{percent}",
                    percentile(spent, percent),
                    "ms",
                    control=self.ideal_first_ms,
                    goal="≤ 80",
                )

    async def streams(self, until_s: float) -> None:
        """Upwards until they are too many, then between the last two, as long as there is time."""
        free_memory()  # the published loop's
        held, lost = 0, None
        while number := self._next(held, lost):
            if self.account.spent_s + self.plan.watched_s + 2 > until_s:
                self.account.say("no time is left for more streams")
                break
            if await self.hold(number):
                held = number
            else:
                lost = number
        goal = f"interval p99 ≤ {INTERVAL_LIMIT_MS:.0f} ms; {lost or 'no number'} failed"
        by_rate = self.path_fps / FPS
        self.account.figure(f"{self.name}_streams", held, "streams", control=by_rate, goal=goal)

    def _next(self, held: int, lost: int | None) -> int | None:
        """How many to try now; None: it is known well enough."""
        if lost is None:
            return next((number for number in self.plan.numbers if number > held), None)
        return (held + lost) // 2 if lost - held > max(1, held // 8) else None

    async def hold(self, number: int) -> bool:
        """Whether so many live sessions are kept supplied."""
        try:
            async with asyncio.timeout(2 * self.plan.watched_s + 2), asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(watch(self.live, session, number, self.plan.watched_s))
                    for session in range(number)
                ]
        except (ExceptionGroup, TimeoutError) as error:
            self.account.say(f"{number} streams LOST: {error!r}")
            return False
        views = [one.result() for one in watching]
        interval = max(percentile(view.intervals_ms(), 99) for view in views)
        late = max(percentile(view.late_ms, 99) for view in views)
        fps = min(view.fps() for view in views)
        held = interval <= INTERVAL_LIMIT_MS and fps >= LEAST_FPS
        self.account.say(
            f"{number} streams {'held' if held else 'LOST'}; the worst: interval p99"
            f" {interval:.1f} ms, late p99 {late:.1f} ms, {fps:.2f} frames/s;"
            f" {self.live.statistics.frames:.1f} frames in a batch"
        )
        return held


async def measure(plan: Plan, folder: Path, decoders: list[Decoder], account: Account) -> None:
    official_fps = 0.0
    for number, decoder in enumerate(decoders):
        left_s = account.limit_s - account.spent_s
        until_s = account.spent_s + left_s / (len(decoders) - number)
        try:
            bench = Bench(plan, folder, decoder, account)
        except EngineError as error:
            account.failed = True
            account.say(f"{decoder} FAILED: {error}")
            continue
        bench.official_fps = official_fps
        await account.part(
            f"{decoder}: networks alone", 30 * plan.patience, asyncio.to_thread(bench.alone)
        )
        await account.part(f"{decoder}: first frames", 60 * plan.patience, bench.first_frames())
        await account.part(f"{decoder}: memory", 10 * plan.patience, bench.memory())
        await account.part(f"{decoder}: frames a second", 120 * plan.patience, bench.throughput())
        await account.part(f"{decoder}: streams", 180 * plan.patience, bench.streams(until_s))
        official_fps = official_fps or bench.official_fps
        bench.close()


def plan_of(tiny: bool) -> Plan:
    if torch.cuda.is_available():
        networks = SMALL if tiny else PUBLISHED
        plan = Plan("musetalk_gpu", networks, torch.device("cuda"), torch.float16)
    else:
        torch.set_num_threads(1)  # the networks are too small for more
        plan = Plan("musetalk_cpu", SMALL, torch.device("cpu"), torch.float32, sides=(1024,))
    if not tiny:
        return plan
    return replace(
        plan,
        name=f"{plan.name}_small",
        rounds=2,
        firsts=3,
        watched_s=2.0,
        numbers=(1, 2),
        sizes=(1, 2, 4),
        patience=5.0,
    )


def about(plan: Plan) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if plan.on_gpu else "CPU"
    return {"device": name, "torch": torch.__version__, "cores": len(os.sched_getaffinity(0))}


def run(plan: Plan, decoders: list[Decoder], account: Account) -> None:
    device = about(plan)["device"]
    nominal = next((tflops for part, tflops in NOMINAL.items() if part in device), 0)
    peak = peak_tflops(plan)
    account.figure(f"{plan.name}_peak", peak, "TFLOP/s", control=nominal, goal="control: nominal")
    with TemporaryDirectory() as home:
        write(Path(home) / "models", plan.networks)
        account.say("networks written")
        asyncio.run(measure(plan, Path(home), decoders, account))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--decoder",
        action="append",
        choices=["kl", "compiled", "tiny"],
        help="may be given several times; without it `kl` and `tiny`",
    )
    parser.add_argument("--tiny", action="store_true", help="small networks, also without a GPU")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument(
        "--limit-s", type=float, default=450.0, help="no stream is begun later (default 450)"
    )
    given = parser.parse_args()
    if not (given.tiny or torch.cuda.is_available()):
        print(
            "NOT MEASURED: MuseTalk on a GPU (figure 10), because PyTorch sees no GPU here. Run"
            " this benchmark where one is, or try it with `--tiny`.",
            file=sys.stderr,
        )
        return 0
    cv2.setNumThreads(1)  # as deployed
    plan = plan_of(given.tiny)
    account = Account(given.json, given.limit_s, about(plan))
    run(plan, given.decoder or ["kl", "tiny"], account)
    account.say("done, but see what FAILED" if account.failed else "done")
    return 1 if account.failed else 0


if __name__ == "__main__":
    sys.exit(main())
