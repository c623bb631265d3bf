"""The video of an answer, as a browser plays it."""

from pathlib import Path

import pytest

from tests.browser.chromium import page
from tests.media import film
from tests.running import Running

pytestmark = pytest.mark.parametrize("engine", ["default"], indirect=True)

PLAY = """
(async () => {
  const video = document.createElement("video");
  video.src = "data:video/mp4;base64,%s";
  video.volume = 0.01;
  video.playbackRate = 4;
  document.body.append(video);
  await video.play();
  await new Promise((ended, failed) => {
    video.onended = ended;
    video.onerror = () => failed(video.error.message);
  });
  const quality = video.getVideoPlaybackQuality();
  return {
    width: video.videoWidth,
    height: video.videoHeight,
    duration: video.duration,
    frames: quality.totalVideoFrames,
    sound: video.webkitAudioDecodedByteCount,
  };
})()
"""


async def test_a_browser_plays_the_answer_to_its_end(engine: Running, tmp_path: Path) -> None:
    async with engine.conversation() as (_, talk):
        answer = await talk.ask(type="text", content="Hi", avatar_id="mei")
    shown = film(answer["video"])
    async with page(tmp_path / "profile") as browser:
        played = await browser.evaluate(PLAY % answer["video"])
    assert (played["width"], played["height"]) == (512, 512)
    assert played["duration"] == pytest.approx(len(shown.frames) / 25, abs=0.1)
    assert played["frames"] >= 0.9 * len(shown.frames)
    assert played["sound"] > 0
