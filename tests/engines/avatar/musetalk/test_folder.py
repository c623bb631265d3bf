import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engines.avatar.musetalk.folder import find, read_config, read_weights
from engines.errors import EngineUnavailable


def empty_files(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


V1 = ("musetalk/musetalk.json", "musetalk/pytorch_model.bin")
V15 = ("musetalkV15/musetalk.json", "musetalkV15/unet.pth")
REST = (
    "sd-vae/config.json",
    "sd-vae/diffusion_pytorch_model.bin",
    "whisper/config.json",
    "whisper/pytorch_model.bin",
    "whisper/preprocessor_config.json",
)


def test_the_newest_version_that_is_there_is_taken(tmp_path: Path) -> None:
    old = find(empty_files(tmp_path, *V1, *REST))
    assert (old.version, old.unet_weights.name) == ("v1", "pytorch_model.bin")
    new = find(empty_files(tmp_path, *V15))
    assert (new.version, new.unet_weights.name) == ("v1.5", "unet.pth")
    assert find(tmp_path, "v1").version == "v1"


def test_a_missing_folder_says_what_to_copy_into_it(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="does not exist.*TMElyralab/MuseTalk"):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [*V15, *REST])
def test_a_missing_file_is_named_with_its_source_and_licence(tmp_path: Path, name: str) -> None:
    folder = empty_files(tmp_path, *V15, *REST)
    (folder / name).unlink()
    with pytest.raises(EngineUnavailable) as refused:
        find(folder)
    sentence = refused.value.sentence
    assert f"lacks {name}." in sentence
    assert "https://huggingface.co/" in sentence
    assert "licence" in sentence


def test_both_licences_of_musetalk_are_told(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="OpenRAIL-M.*README"):
        find(empty_files(tmp_path, *REST))


def test_the_tiny_decoder_is_only_demanded_when_it_is_wanted(tmp_path: Path) -> None:
    folder = empty_files(tmp_path, *V15, *REST)
    assert find(folder).tiny is None
    with pytest.raises(EngineUnavailable, match="taesd/config.json.*madebyollin/taesd"):
        find(folder, tiny=True)
    empty_files(folder, "taesd/config.json", "taesd/diffusion_pytorch_model.safetensors")
    assert find(folder, tiny=True).tiny == folder / "taesd"


def test_the_hubs_other_format_will_do(tmp_path: Path) -> None:
    names = [name for name in REST if not name.endswith(".bin")]
    folder = empty_files(tmp_path, *V15, *names)
    save_file({"a": torch.ones(2)}, folder / "sd-vae" / "diffusion_pytorch_model.safetensors")
    save_file({"b": torch.ones(3)}, folder / "whisper" / "model.safetensors")
    files = find(folder)
    assert list(read_weights(files.vae / "diffusion_pytorch_model.bin")) == ["a"]
    assert list(read_weights(files.whisper / "pytorch_model.bin")) == ["b"]


class Boobytrap:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("as_zip", [True, False])
def test_code_in_a_weight_file_is_not_run(tmp_path: Path, as_zip: bool) -> None:
    weights, touched = tmp_path / "sd-vae" / "unet.pth", tmp_path / "touched"
    weights.parent.mkdir()
    if as_zip:
        torch.save({"conv_in.weight": Boobytrap(touched)}, weights)
    else:
        weights.write_bytes(pickle.dumps(Boobytrap(touched)))
    with pytest.raises(EngineUnavailable, match="cannot be read.*Download `sd-vae`.*again"):
        read_weights(weights)
    assert not touched.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"<html>404</html>"])
def test_a_broken_weight_file_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "whisper" / "pytorch_model.bin"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(EngineUnavailable, match="openai/whisper-tiny"):
        read_weights(file)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\udcff"])
def test_a_broken_configuration_gets_a_sentence(tmp_path: Path, content: str) -> None:
    file = tmp_path / "whisper" / "config.json"
    file.parent.mkdir()
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(EngineUnavailable, match="config.json. cannot be read"):
        read_config(file)
