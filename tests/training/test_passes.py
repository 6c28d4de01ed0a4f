"""What a group adds to loss and gradients, alone and with room that is filled up."""

import numpy as np
import pytest
import torch

from training.batches import BatchMaker, BatchShape, Group
from training.model import ModelConfig, ReferenceModel, masked_loss
from training.passes import Inputs, Passes

from .conftest import HUB_MODEL

MODEL = ModelConfig(hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, head_dim=16)


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    return BatchMaker(HUB_MODEL, BatchShape(prompts=6, groups=2, answers=2), seed=3).make(0)


def _gradients(model: ReferenceModel) -> dict[str, torch.Tensor]:
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    return found


def test_groups_add_up_to_the_mean_over_all_hidden_tokens_of_the_batch(groups: list[Group]) -> None:
    model = ReferenceModel(MODEL)
    passes = Passes(model, torch.float32)
    masked_tokens = sum(len(group.positions) for group in groups)
    total = sum(float(passes(group, masked_tokens).sum()) for group in groups)
    found = _gradients(model)

    losses = []
    for group in groups:
        prompts, lengths, windows, positions, owners, targets = (
            torch.from_numpy(np.asarray(array)).long()
            for array in (
                group.prompts, group.prompt_lengths, group.windows, group.positions, group.owners, group.targets
            )
        )  # fmt: skip
        hidden = model(prompts, lengths, windows)
        weight = model.model.embed_tokens.weight
        losses.append(masked_loss(hidden, weight, positions, owners, targets, torch.from_numpy(group.weights)))
    mean = torch.cat(losses).mean()
    mean.backward()
    assert total == pytest.approx(mean.item(), rel=1e-5)
    for name, gradient in _gradients(model).items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4)


def test_a_group_that_does_not_fill_its_room_counts_as_it_does_alone(groups: list[Group]) -> None:
    model = ReferenceModel(MODEL)
    passes = Passes(model, torch.float32)
    group = groups[0]
    alone = passes(group, 100)
    wanted = _gradients(model)

    inputs = passes._inputs(group, 100)
    # Room for more, full of what an earlier group has left.
    longer = {"positions": 3, "shares": 3, "owners": 7, "targets": 7, "weights": 7}
    roomy = Inputs(
        *(
            torch.cat([tensor, tensor.new_ones(longer.get(name, 0), *tensor.shape[1:])])
            for name in Inputs.__slots__
            for tensor in [getattr(inputs, name)]
        )
    )
    roomy.fill(inputs)
    losses = passes._run(roomy)
    assert torch.allclose(losses[: len(alone)], alone)
    assert losses[len(alone) :].tolist() == [0, 0, 0]
    for name, gradient in _gradients(model).items():
        assert torch.isfinite(gradient).all()
        torch.testing.assert_close(gradient, wanted[name], atol=1e-6, rtol=1e-4)
