"""An XTTS and a VITS of a few channels and random weights, in the layouts that Coqui publishes.

They say nothing sensible, but loading, cloning, the decoder's steps and the vocoders are the real
ones. As a script: `python -m tests.tiny_coqui xtts FOLDER`, or `vits`.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.vits_config import VitsConfig
from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models import xtts
from TTS.tts.models.vits import Vits, VitsArgs

CHANNELS = 64
LATENTS = 32  # that the perceiver makes of any recording; fixed by the library
SPEAKER_CHANNELS = 512  # of the speaker encoder; fixed by the library
LETTERS = "abcdefghijklmnopqrstuvwxyz'.,!?-"
VOCODER_CHANNELS = 32
"""Instead of 512, which XTTS' configuration cannot say: whoever loads the model sets it too."""

LOUDER = 4.0
"""Random weights whisper. With this the vocoders come out at about the loudness of speech."""

SPEAKERS = ("Claribel Dervla", "Damien Black")


@contextmanager
def narrow_vocoder() -> Iterator[None]:
    """Inside, the vocoder of XTTS has `VOCODER_CHANNELS`. It is some fifty times as quick so."""
    usual = xtts.HifiDecoder
    xtts.HifiDecoder = partial(usual, upsample_initial_channel_decoder=VOCODER_CHANNELS)
    try:
        yield
    finally:
        xtts.HifiDecoder = usual


def make_tiny_xtts(folder: Path, seed: int = 0, tokens: int = 60) -> Path:
    """Write the model into `folder` and return it. No sentence ends before `tokens` steps of the
    decoder, 46 ms of sound each: random weights never say that they are done."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    _vocabulary().save(str(folder / "vocab.json"))
    config = XttsConfig(
        model_args=XttsArgs(
            gpt_layers=2,
            gpt_n_heads=4,
            gpt_n_model_channels=CHANNELS,
            decoder_input_dim=CHANNELS,
            gpt_max_audio_tokens=tokens + 3,  # of which the library keeps three for itself
            gpt_use_perceiver_resampler=True,
        ),
        languages=["en", "es", "zh-cn"],
        top_k=1,  # no chance: the same text is always the same sound
    )
    config.save_json(str(folder / "config.json"))
    with narrow_vocoder():
        model: Any = xtts.Xtts(config)
        model.tokenizer = VoiceBpeTokenizer(vocab_file=folder / "vocab.json")
        model.init_models()
    with torch.no_grad():
        model.gpt.mel_head.bias[model.args.gpt_stop_audio_token] = -100.0
        model.hifigan_decoder.waveform_decoder.conv_post.weight.mul_(LOUDER)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    torch.save(dict(_speakers()), folder / "speakers_xtts.pth")
    return folder


def _vocabulary() -> Tokenizer:
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[es]", "[zh-cn]"]
    words = {word: index for index, word in enumerate([*marks, *LETTERS])}
    tokenizer = Tokenizer(BPE(words, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    return tokenizer


def _speakers() -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    for name in SPEAKERS:
        yield (
            name,
            {
                "gpt_cond_latent": torch.randn(1, LATENTS, CHANNELS),
                "speaker_embedding": torch.randn(1, SPEAKER_CHANNELS, 1),
            },
        )


def make_tiny_vits(folder: Path, seed: int = 0, speakers: tuple[str, ...] = ()) -> Path:
    """Write the model into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    if speakers:
        ids = {name: index for index, name in enumerate(speakers)}
        (folder / "speaker_ids.json").write_text(json.dumps(ids))
    config = VitsConfig(
        model_args=VitsArgs(
            hidden_channels=32,
            hidden_channels_ffn_text_encoder=64,
            num_heads_text_encoder=2,
            num_layers_text_encoder=1,
            num_layers_posterior_encoder=1,
            num_layers_flow=1,
            upsample_initial_channel_decoder=64,
            use_speaker_embedding=bool(speakers),
            speaker_embedding_channels=32,
            speakers_file=str(folder / "speaker_ids.json") if speakers else None,
            init_discriminator=False,
        ),
        text_cleaner="basic_cleaners",
        use_phonemes=False,
        phoneme_language="en",
        characters=CharactersConfig(
            characters_class="TTS.tts.models.vits.VitsCharacters",
            pad="_",
            eos="",
            bos="",
            blank="<BLNK>",
            characters=LETTERS,
            punctuations=" ;:",
            phonemes="",
        ),
        add_blank=True,
    )
    config.model_args.num_speakers = len(speakers)
    model: Any = Vits(config)
    with torch.no_grad():
        model.waveform_decoder.conv_post.weight.mul_(LOUDER)
    config.save_json(str(folder / "config.json"))
    torch.save({"model": model.state_dict()}, folder / "model_file.pth")
    return folder


if __name__ == "__main__":
    if sys.argv[1] == "xtts":
        make_tiny_xtts(Path(sys.argv[2]))
    else:
        make_tiny_vits(Path(sys.argv[2]))
