"""Block routing: experts that a block has chosen together, whatever else is in the batch, wherever the pass begins."""

import types
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from samplers.models.block_routing import BlockRouter, real_tokens, routing_within
from samplers.models.masks import visible_keys


def router(experts: int, capacity: int, k: int) -> BlockRouter:
    generator = torch.Generator().manual_seed(experts)
    made = types.SimpleNamespace(
        weight=torch.nn.Parameter(torch.randn(experts, 5, generator=generator)),
        e_score_correction_bias=torch.randn(experts, generator=generator) * 0.3,
        top_k=k,
        routed_scaling_factor=2.5,
    )
    return BlockRouter(made, capacity)


def route(block: int, made: BlockRouter, hidden: Tensor, places: Tensor, real: Tensor | None) -> tuple[Any, Any]:
    """Weights and chosen experts, (batch, length, k), each token's in the order of the experts' numbers."""
    with routing_within(places, real, block), torch.no_grad():
        _, weights, chosen = made(hidden)
    order = chosen.argsort(dim=-1)
    shape = (*hidden.shape[:2], -1)
    return weights.gather(-1, order).reshape(shape), chosen.gather(-1, order).reshape(shape)


@given(
    experts=st.integers(4, 12),
    capacity=st.integers(2, 4),
    k=st.integers(1, 2),
    block=st.integers(1, 5),
    length=st.integers(1, 11),
)
@settings(max_examples=40, deadline=None)
def test_each_token_takes_its_best_of_those_that_its_block_holds_best(
    experts: int, capacity: int, k: int, block: int, length: int
) -> None:
    made = router(experts, capacity, k)
    hidden = torch.randn(1, length, 5, generator=torch.Generator().manual_seed(length))
    weights, chosen = route(block, made, hidden, torch.arange(length)[None], None)
    scores = (hidden[0] @ made.weight.T).sigmoid()
    wanted = (scores + made.e_score_correction_bias).tolist()
    for token in range(length):
        first = token - token % block
        strength = [max(row[expert] for row in wanted[first : first + block]) for expert in range(experts)]
        allowed = sorted(range(experts), key=lambda expert: (-strength[expert], expert))[:capacity]
        best = sorted(sorted(allowed, key=lambda expert: -wanted[token][expert])[:k])
        assert chosen[0, token].tolist() == best
        shares = scores[token, best]
        expected = 2.5 * (shares / shares.sum() if k > 1 else shares)
        assert torch.allclose(weights[0, token], expected, atol=1e-6)


def test_equals_go_to_the_expert_with_the_lower_number() -> None:
    made = router(6, 3, 2)
    made.weight.data[:] = 0
    made.e_score_correction_bias[:] = 0
    _, chosen = route(4, made, torch.randn(1, 4, 5), torch.arange(4)[None], None)
    assert set(chosen.flatten().tolist()) <= {0, 1, 2}


def test_padding_has_no_say_and_rows_are_alone() -> None:
    made, block = router(9, 3, 2), 4
    hidden = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    real = torch.arange(9) >= torch.tensor([0, 3])[:, None]
    places = (real.long().cumsum(dim=1) - 1).clamp(min=0)
    weights, chosen = route(block, made, hidden, places, real)
    alone_weights, alone = route(block, made, hidden[1:, 3:], torch.arange(6)[None], None)
    assert torch.equal(chosen[1, 3:], alone[0])
    assert torch.allclose(weights[1, 3:], alone_weights[0])
    assert weights.isfinite().all()


def test_a_pass_may_begin_at_any_block() -> None:
    made = router(9, 3, 2)
    hidden = torch.randn(1, 12, 5, generator=torch.Generator().manual_seed(1))
    _, whole = route(4, made, hidden, torch.arange(12)[None], None)
    _, later = route(4, made, hidden[:, 8:], torch.arange(8, 12)[None], None)
    assert torch.equal(whole[:, 8:], later)


def test_who_sees_itself_is_no_padding() -> None:
    real = torch.tensor([[False, False, True, True, True], [True] * 5])
    mask = visible_keys("block_causal", queries=(1, 5), keys=5, real=real, block_length=2)
    found = real_tokens(mask, 1, 4)
    assert found is not None
    assert torch.equal(found, real[:, 1:])
    assert real_tokens(None, 1, 4) is None
