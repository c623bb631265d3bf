import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.avatar.musetalk.folder import find
from engines.avatar.musetalk.unet import TalkingUnet, load_unet, positional_encoding
from engines.errors import EngineUnavailable
from tests.plain_musetalk import PlainMuseTalk, encoding


@pytest.fixture(scope="module")
def unet(musetalk_folder: Path) -> TalkingUnet:
    files = find(musetalk_folder)
    return load_unet(files.unet_config, files.unet_weights)


def inputs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(0)
    latents = torch.randn(count, 8, 32, 32, generator=dice)
    return latents, torch.randn(count, 50, 384, generator=dice)


def test_without_its_time_path_it_shows_the_same(unet: TalkingUnet, plain: PlainMuseTalk) -> None:
    latents, chunks = inputs(3)
    with torch.inference_mode():
        shown = unet(latents, chunks).numpy()
    expected = plain.shown(latents.numpy(), chunks.numpy())
    assert shown.shape == (3, 4, 32, 32)
    assert np.abs(shown - expected).max() <= 1e-5
    assert not [name for name, _ in unet.named_parameters() if "time" in name]


def test_it_has_the_weights_that_are_published(musetalk_folder: Path) -> None:
    weights = torch.load(musetalk_folder / "musetalkV15" / "unet.pth", weights_only=True)
    assert len(weights) == 686


def test_what_it_shows_depends_on_the_sound(unet: TalkingUnet) -> None:
    latents, chunks = inputs(1)
    with torch.inference_mode():
        change = unet(latents, chunks) - unet(latents, chunks.flip(1))
    assert change.abs().max() > 0.01


def test_the_positions_are_sines_and_cosines() -> None:
    assert np.abs(positional_encoding().numpy() - encoding()).max() < 1e-5


def test_weights_of_another_network_are_refused(musetalk_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(musetalk_folder / "musetalkV15", tmp_path / "musetalkV15"))
    config = json.loads((folder / "musetalk.json").read_text())
    (folder / "musetalk.json").write_text(json.dumps(config | {"cross_attention_dim": 768}))
    with pytest.raises(EngineUnavailable, match="do not fit the configuration.*Download"):
        load_unet(folder / "musetalk.json", folder / "unet.pth")
    (folder / "musetalk.json").write_text(
        json.dumps(config | {"resnet_time_scale_shift": "scale_shift"})
    )
    with pytest.raises(EngineUnavailable, match="do not fit"):
        load_unet(folder / "musetalk.json", folder / "unet.pth")
