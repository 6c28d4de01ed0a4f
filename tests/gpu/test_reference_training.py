"""The reference model's training on a GPU: replayed graphs do what the plain passes do."""

from pathlib import Path

import pytest
import torch
from gpu_models import REHEARSED, note, on_a_gpu
from support import ROOT

from training.batches import BatchMaker, BatchShape, Group
from training.model import ReferenceModel
from training.passes import CapturedPasses, Passes
from training.training import Piece, Trainer, TrainingConfig

pytestmark = [*on_a_gpu, pytest.mark.skipif(REHEARSED, reason="there are no graphs on a CPU")]

HUB_MODEL = ROOT / "hub_model"
SHAPE = BatchShape(prompts=64, groups=2, answers=2)


def _added(passes: Passes, groups: list[Group]) -> tuple[float, torch.Tensor]:
    """Loss of a batch, and what it adds to the gradients."""
    parameters = list(passes.model.parameters())
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.zero_()
    masked_tokens = sum(len(group.positions) for group in groups)
    loss = sum(passes(group, masked_tokens).sum().item() for group in groups)
    return loss, torch.cat([parameter.grad.flatten().clone() for parameter in parameters])


def test_replayed_graphs_give_the_gradients_of_the_plain_passes() -> None:
    model = ReferenceModel(TrainingConfig().model).cuda()
    maker = BatchMaker(HUB_MODEL, SHAPE, seed=1)
    batches = [maker.make(number) for number in range(6)]
    exact = [_added(Passes(model, torch.float32), batch) for batch in batches]
    captured = CapturedPasses(model, torch.bfloat16)
    # Twice, since the first time captures; groups of six batches differ in what they need of their room.
    for _ in range(2):
        for batch, (loss, gradient) in zip(batches, exact, strict=True):
            found, its = _added(captured, batch)
            assert found == pytest.approx(loss, rel=1e-3)
            assert (its - gradient).norm() < 0.02 * gradient.norm()


def test_a_piece_of_training_goes_on_on_a_gpu(tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (directory / name).write_bytes((HUB_MODEL / name).read_bytes())
    config = TrainingConfig(steps=40, decay=10, warmup=10, shape=SHAPE)
    lines: list[str] = []
    for steps, complete in ((25, False), (None, True)):
        piece = Piece("cuda", steps=steps, workers=2, log_every=5)
        assert Trainer(config, directory, tmp_path / "out", piece).run(lines.append) == complete
    note(f"reference model, small batches: {lines[-1]}")
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines]
    assert len(losses) == 8
    assert losses[-1] < 0.75 * losses[0]
    assert (directory / "model.safetensors").exists()
