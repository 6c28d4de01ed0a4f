"""How many forward passes are foretold, held against what the loop takes."""

import pytest

from benchmark.engine.passes import forward_passes
from benchmark.models import IdealModel
from benchmark.models.prompts import pad_left, tokenize_prompts
from benchmark.protocol.method import Method, expand
from benchmark.protocol.questions import load_rows
from samplers import built_in_scheduler_names, generate

NEW_TOKENS = 32


@pytest.fixture(scope="module")
def prepared():
    rows = load_rows("waiting_line_shuffle", 2)
    return rows, IdealModel().for_task(rows, NEW_TOKENS)


@pytest.mark.parametrize("name", [name for name in built_in_scheduler_names() if name not in ("wino", "dapd", "dawn")])
@pytest.mark.parametrize("block_length", [None, 12])
def test_a_fixed_speed_is_foretold_exactly_and_another_at_most(prepared, name: str, block_length: int | None) -> None:
    rows, model = prepared
    input_ids, attention_mask = pad_left(tokenize_prompts(model.tokenizer, rows), model.tokenizer.pad_token_id)
    methods = expand(name, NEW_TOKENS, block_length)
    for method in {methods[0], methods[len(methods) // 2], methods[-1]}:
        passes, exact = forward_passes(method, NEW_TOKENS)
        output = generate(
            model.model,
            input_ids,
            attention_mask=attention_mask,
            scheduler=method.build(0.0),
            max_new_tokens=NEW_TOKENS,
            block_length=method.decoded_block_length,
        )
        taken = output.num_forward_passes.tolist()
        assert taken == [passes] * len(rows) if exact else max(taken) <= passes, (str(method), passes, taken)


def test_an_autoregressive_model_takes_at_most_a_pass_a_token_and_of_a_server_nobody_knows() -> None:
    assert forward_passes(Method.parse("autoregressive"), 1024) == (1024, False)
    assert forward_passes(Method.parse("served"), 1024) == (0, False)


def test_which_speeds_are_fixed() -> None:
    fixed = {name for name in built_in_scheduler_names() if all(forward_passes(m, 8)[1] for m in expand(name, 8))}
    assert {
        "random",
        "left_to_right",
        "confidence",
        "margin",
        "entropy",
        "rcr",
        "remdm",
        "position_calibrated",
    } <= fixed
    assert not fixed & {"threshold", "factor", "eb", "klass", "wino", "saber", "prophet", "frechet", "dapd", "lopa"}
