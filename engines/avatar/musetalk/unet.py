"""MuseTalk's UNet: from the latents of a face and the sound around a frame to the latents of the
face that says it, in one pass.

It is a Stable Diffusion UNet that is always run at time 0, so that what its time path adds in each
block is a constant. It is reckoned once and put into the biases; the path is left out.
"""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from engines.avatar.musetalk.folder import misfit, read_config, read_weights

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_TOKENS = 50
"""Of sound around a frame: 10 rows of 20 ms, 5 layers of each."""

CHANNELS = 384
"""Of a token: Whisper tiny's width."""


class TalkingUnet(nn.Module):
    """Latents [B, 8, 32, 32] and chunks [B, 50, 384] → latents [B, 4, 32, 32], as the decoder
    takes them but for its scale."""

    positions: torch.Tensor

    def __init__(self, unet: Any) -> None:
        """`unet`: a UNet2DConditionModel in float32, of which this takes possession."""
        super().__init__()
        _fold_time(unet)
        self.conv_in = unet.conv_in
        self.down_blocks = unet.down_blocks
        self.mid_block = unet.mid_block
        self.up_blocks = unet.up_blocks
        self.conv_norm_out = unet.conv_norm_out
        self.conv_act = unet.conv_act
        self.conv_out = unet.conv_out
        self.register_buffer("positions", positional_encoding(), persistent=False)

    def forward(self, latents: torch.Tensor, chunks: torch.Tensor) -> torch.Tensor:
        sound = chunks + self.positions
        x = self.conv_in(latents)
        skipped = [x]
        for block in self.down_blocks:
            x, others = block(hidden_states=x, temb=None, **_told(block, sound))
            skipped += others
        x = self.mid_block(x, None, **_told(self.mid_block, sound))
        for block in self.up_blocks:
            count = len(block.resnets)
            skipped, last = skipped[:-count], tuple(skipped[-count:])
            x = block(
                hidden_states=x, res_hidden_states_tuple=last, temb=None, **_told(block, sound)
            )
        shown: torch.Tensor = self.conv_out(self.conv_act(self.conv_norm_out(x)))
        return shown


def load_unet(config: "Path", weights: "Path") -> TalkingUnet:
    """In float32 on the CPU. Raises `EngineUnavailable`."""
    import diffusers

    kind: Any = diffusers.UNet2DConditionModel  # its making has no types
    measures, tensors = read_config(config), read_weights(weights)
    try:
        with torch.device("meta"):  # the weights come from the file, so none are made up
            unet = kind.from_config(measures)
        unet.load_state_dict(tensors, assign=True)
        with torch.no_grad():
            return TalkingUnet(unet.float()).eval().requires_grad_(False)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise misfit(weights, error) from error


def positional_encoding() -> torch.Tensor:
    """Float32 [50, 384]: sines and cosines in turn, whose wavelengths grow from 2π to 20,000π."""
    places = torch.arange(CHUNK_TOKENS, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, CHANNELS, 2).float() * (-math.log(10_000.0) / CHANNELS))
    encoding = torch.zeros(CHUNK_TOKENS, CHANNELS)
    encoding[:, 0::2] = torch.sin(places * rates)
    encoding[:, 1::2] = torch.cos(places * rates)
    return encoding


def _fold_time(unet: Any) -> None:
    """Adds to each block's first bias what time 0 adds behind it."""
    from diffusers.models.resnet import ResnetBlock2D

    moment = unet.time_embedding(unet.time_proj(torch.zeros(1)))
    blocks: list[Any] = [block for block in unet.modules() if isinstance(block, ResnetBlock2D)]
    for block in blocks:
        if block.time_embedding_norm != "default" or block.time_emb_proj is None:
            raise ValueError(f"time comes in by {block.time_embedding_norm}, not by a sum")
        constant = block.time_emb_proj(block.nonlinearity(moment))[0]
        block.conv1.bias = nn.Parameter(block.conv1.bias + constant)
        block.time_emb_proj = None


def _told(block: nn.Module, sound: torch.Tensor) -> dict[str, torch.Tensor]:
    """The sound, for the blocks that attend to it."""
    return {"encoder_hidden_states": sound} if hasattr(block, "attentions") else {}
