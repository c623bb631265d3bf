from pathlib import Path

import numpy as np
import pytest
import torch

from engines.avatar.musetalk.epilogue import pixels
from engines.avatar.musetalk.vae import load_tiny, load_vae
from engines.errors import EngineUnavailable
from tests.plain_musetalk import PlainMuseTalk, made_up_face


def test_a_face_is_encoded_as_the_published_code_does(
    musetalk_folder: Path, plain: PlainMuseTalk
) -> None:
    encoder, _ = load_vae(musetalk_folder / "sd-vae")
    face = made_up_face()
    with torch.inference_mode():
        latents = encoder(torch.from_numpy(face[None])).numpy()
    assert latents.shape == (1, 8, 32, 32)
    assert np.abs(latents - plain.latents(face)).max() <= 1e-5


def test_the_first_latents_do_not_know_the_lower_half(musetalk_folder: Path) -> None:
    encoder, _ = load_vae(musetalk_folder / "sd-vae")
    face = made_up_face()
    other = face.copy()
    other[128:] = 255 - other[128:]
    with torch.inference_mode():
        one, two = (encoder(torch.from_numpy(seen[None])) for seen in (face, other))
    assert torch.equal(one[:, :4], two[:, :4])
    assert not torch.equal(one[:, 4:], two[:, 4:])


def test_latents_are_decoded_as_the_published_code_does(
    musetalk_folder: Path, plain: PlainMuseTalk
) -> None:
    _, decoder = load_vae(musetalk_folder / "sd-vae")
    shown = np.random.default_rng(0).normal(0, 0.5, (2, 4, 32, 32)).astype(np.float32)
    with torch.inference_mode():
        faces = pixels(decoder(torch.from_numpy(shown)), 0).numpy()
    expected = plain.faces(shown)
    assert np.abs(faces.astype(int) - expected.astype(int)).max() <= 1
    assert faces.std() > 10


# PyTorch's compiler still uses what it calls deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_the_decoder_can_be_compiled_in_one_piece(musetalk_folder: Path) -> None:
    """Traced only: to make machine code of it takes a minute."""
    _, decoder = load_vae(musetalk_folder / "sd-vae")
    shown = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = decoder(shown)
        decoder.compile(backend="eager", dynamic=False, fullgraph=True)
        assert torch.allclose(decoder(shown), expected, atol=1e-5)


def test_the_tiny_decoder_gives_images_of_the_same_size(musetalk_folder: Path) -> None:
    decoder = load_tiny(musetalk_folder / "taesd")
    with torch.inference_mode():
        images = decoder(torch.randn(2, 4, 32, 32))
    assert images.shape == (2, 3, 256, 256)
    assert bool(torch.isfinite(images).all())
    assert not [name for name, _ in decoder.named_parameters() if "encoder" in name]


def test_half_a_weight_file_is_refused(musetalk_folder: Path, tmp_path: Path) -> None:
    source = musetalk_folder / "sd-vae"
    folder = tmp_path / "sd-vae"
    folder.mkdir()
    (folder / "config.json").write_text((source / "config.json").read_text())
    weights = torch.load(source / "diffusion_pytorch_model.bin", weights_only=True)
    del weights["decoder.conv_in.weight"]
    torch.save(weights, folder / "diffusion_pytorch_model.bin")
    with pytest.raises(EngineUnavailable, match="do not fit.*sd-vae-ft-mse"):
        load_vae(folder)
