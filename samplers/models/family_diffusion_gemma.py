"""DiffusionGemma (Google, 2026): transformers' own class, behind an adapter that turns masks into noise.

Canvases of 256 tokens are denoised from uniform noise; what is before one is encoded causally, and the canvas sees that
and itself. Read: `models/diffusion_gemma` of transformers 5.23 and `pipelines/diffusion_gemma` of diffusers 0.42, where
its own sampler is, which is `RenoisingScheduler` here; and see `samplers.denoisers.uniform`.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint


def blueprint(config: CheckpointConfig) -> Blueprint:
    """Nothing is built here: transformers reads the config."""
    raise TypeError(f"{config.source}: this family is built by transformers")


FAMILY = Family(
    name="DiffusionGemma",
    model_types=("diffusion_gemma",),
    architectures=("DiffusionGemmaForBlockDiffusion",),
    attention="causal_context",
    own_class="DiffusionGemmaForBlockDiffusion",
    adapter="samplers.denoisers.uniform:UniformDenoiser",
    mask_token_id=None,
    eos_token_id=1,
    stop_token_ids=(1,),
    vocab_size=262144,
    block_length=256,
    paper="",
    checked="transformers' generate, token by token",
    checkpoints=(PublishedCheckpoint("google/diffusiongemma-26B-A4B-it", 25.2),),
    blueprint=blueprint,
)
