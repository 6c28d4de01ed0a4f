"""Ours in diffusers: every scheduler in the place of `LLaDA2Pipeline`'s own."""

import pickle
from typing import Any

import pytest
import torch
from diffusers import BlockRefinementScheduler, LLaDA2Pipeline
from scheduler_cases import FACTORIES, every_scheduler, row_generator
from tiny_pipeline import EOS, MASK, WORDS, tiny_model, tiny_tokenizer
from torch import Tensor

from samplers import (
    ConfidenceScheduler,
    DAPDScheduler,
    DAWNScheduler,
    ReMDMScheduler,
    ThresholdScheduler,
    WINOScheduler,
    built_in_scheduler_names,
    generate,
    scheduler_class,
)

#: Eight tokens: the pipeline's blocks start at multiples of the block length, counted from the prompt's first token.
PROMPT = " ".join(f"word{number}" for number in range(8))


def decode(scheduler: Any, **arguments: Any) -> tuple[Any, int]:
    """The pipeline's output, and how often it ran the model."""
    calls: list[int] = []
    model = tiny_model()
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    pipe = LLaDA2Pipeline(model=model, scheduler=scheduler, tokenizer=tiny_tokenizer())
    pipe.set_progress_bar_config(disable=True)
    defaults = {
        "prompt": PROMPT,
        "gen_length": 8,
        "block_length": 8,
        "editing_threshold": None,
        "eos_early_stop": False,
    }
    try:
        return pipe(**(defaults | arguments)), len(calls)
    finally:
        hook.remove()


def test_method_that_needs_shadow_tokens_says_that_the_pipeline_has_none() -> None:
    with pytest.raises(ValueError, match="shadow_output"):
        decode(WINOScheduler())


@pytest.mark.parametrize("scheduler", [DAPDScheduler(), DAWNScheduler()])
def test_method_that_reads_attentions_says_that_the_pipeline_has_none(scheduler: Any) -> None:
    with pytest.raises(ValueError, match="reads attentions"):
        decode(scheduler)


def test_few_need_what_the_pipeline_has_not() -> None:
    wants = {name: scheduler_class(name)().wants for name in built_in_scheduler_names()}
    assert [name for name in wants if wants[name].shadow_logits] == ["wino"]
    assert [name for name in wants if wants[name].attentions] == ["dapd", "dawn"]


def can_run(scheduler: Any) -> bool:
    made = scheduler() if isinstance(scheduler, type) else scheduler
    return not (made.wants.shadow_logits or made.wants.attentions)


@every_scheduler
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_pipeline_decodes_what_generate_decodes(name: str, temperature: float) -> None:
    if not can_run(FACTORIES[name]()):
        pytest.skip("needs more than logits, which the pipeline does not offer")
    if FACTORIES[name]().wants.drafts:
        pytest.skip("the pipeline looks at no drafts, so that it decodes as another method does")
    output, calls = decode(FACTORIES[name](), temperature=temperature, generator=row_generator(0))
    # The threshold is the pipeline's, where a scheduler has none of its own; all here have one.
    ours = generate(
        tiny_model(),
        tiny_tokenizer()(PROMPT, return_tensors="pt")["input_ids"],
        scheduler=FACTORIES[name](),
        max_new_tokens=8,
        temperature=temperature,
        generator=row_generator(0),
    )
    assert torch.equal(output.sequences, ours.sequences[:, 8:])
    assert calls == ours.num_forward_passes.item()
    assert output.texts == tiny_tokenizer().batch_decode(
        [row[: row.tolist().index(EOS) + 1] if EOS in row else row for row in output.sequences],
        skip_special_tokens=True,
    )


@every_scheduler
def test_blocks_that_hold_prompt_and_padding(name: str) -> None:
    if not can_run(FACTORIES[name]()):
        pytest.skip("needs more than logits, which the pipeline does not offer")
    # Eleven prompt tokens and ten new ones in blocks of four: the first block begins in the prompt, and the last
    # reaches beyond what is asked for.
    prompt = PROMPT + " word8 word9 word10"
    output, _ = decode(FACTORIES[name](), prompt=prompt, gen_length=10, block_length=4)
    assert output.sequences.shape == (1, 10)
    assert not (output.sequences == MASK).any()


def test_block_length_is_read_from_the_config() -> None:
    for scheduler, expected in (
        (ConfidenceScheduler(k=1), 32),
        (ConfidenceScheduler.from_config(BlockRefinementScheduler(block_length=4).config, k=1), 4),
    ):
        assert scheduler.config.block_length == expected
        _, calls = decode(scheduler, gen_length=4, block_length=None)
        # A block of 32 holds the prompt and 24 places to fill, the four asked for among them.
        assert calls == (24 if expected == 32 else 4)


def test_threshold_is_the_pipelines_where_the_constructor_left_it_open() -> None:
    for threshold in (0.2, 0.9):
        open_one, calls = decode(ThresholdScheduler(threshold=None), threshold=threshold)
        own, expected_calls = decode(ThresholdScheduler(threshold=threshold), threshold=0.5)
        assert calls == expected_calls
        assert torch.equal(open_one.sequences, own.sequences)


def test_messages_go_through_the_chat_template() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    try:
        output, _ = decode(ConfidenceScheduler(k=2), prompt=None, messages=[{"role": "user", "content": PROMPT}])
    finally:
        tokenizer.chat_template = None
    plain, _ = decode(ConfidenceScheduler(k=2))
    assert torch.equal(output.sequences, plain.sequences)


def test_batch_of_prompts() -> None:
    prompts = [PROMPT, " ".join(reversed(PROMPT.split()))]
    together, _ = decode(ConfidenceScheduler(k=2), prompt=prompts, use_chat_template=False)
    for row, prompt in enumerate(prompts):
        alone, _ = decode(ConfidenceScheduler(k=2), prompt=prompt)
        assert torch.equal(together.sequences[row], alone.sequences[0])


class EndsEarly(torch.nn.Module):
    """Wants the end token at the third generated position, and is surest of the first four."""

    dtype, device = torch.float32, torch.device("cpu")

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor) -> Any:
        logits = torch.zeros(*input_ids.shape, len(WORDS))
        logits[..., 9] = 4.0 - 0.1 * position_ids
        logits[:, 10, 9] = 0.0
        logits[:, 10, EOS] = 3.5
        return type("Output", (), {"logits": logits})


@pytest.mark.parametrize(("scheduler", "filled"), [(ConfidenceScheduler(k=1), 3), (ReMDMScheduler(k=1), 8)])
def test_early_stop_at_the_end_token(scheduler: Any, filled: int) -> None:
    pipe = LLaDA2Pipeline(model=EndsEarly(), scheduler=scheduler, tokenizer=tiny_tokenizer())
    pipe.set_progress_bar_config(disable=True)
    output = pipe(prompt=PROMPT, gen_length=24, block_length=8, editing_threshold=None)
    # A method that revises may take the end token back, so its row is finished with its block.
    assert (output.sequences != MASK).sum().item() == filled
    assert output.sequences[0, :3].tolist() == [9, 9, EOS]
    assert output.texts == ["word5 word5"]


def test_end_token_counts_only_behind_the_prompt_and_without_gaps() -> None:
    scheduler = ConfidenceScheduler()
    rows = torch.tensor([[EOS, 5, 5, 5], [5, 5, EOS, MASK], [5, MASK, EOS, 5], [5, 5, MASK, EOS], [5, 5, 5, 5]])
    nothing = torch.zeros(5, 2, dtype=torch.bool)
    before = torch.tensor([False, False, False, False, True])
    asked = {"sampled_tokens": rows[:, 2:], "final_transfer": nothing, "finished": before}
    ids = {"eos_token_id": EOS, "mask_token_id": MASK}
    finished = scheduler.check_eos_finished(cur_x=rows, prompt_length=1, **asked, **ids)
    assert finished.tolist() == [False, True, False, False, True]
    assert before.tolist() == [False] * 4 + [True]
    revising = ReMDMScheduler().check_eos_finished(cur_x=rows, prompt_length=1, **asked, **ids)
    assert revising.tolist() == [False, False, False, False, True]


@pytest.mark.parametrize("name", built_in_scheduler_names())
def test_scheduler_is_pickled_after_use_and_used_again(name: str) -> None:
    cls = scheduler_class(name)
    if not can_run(cls):
        pytest.skip("needs more than logits, which the pipeline does not offer")
    scheduler = cls()
    decode(scheduler, generator=row_generator(1))
    again, _ = decode(pickle.loads(pickle.dumps(scheduler)), generator=row_generator(0))
    new, _ = decode(cls(), generator=row_generator(0))
    assert torch.equal(again.sequences, new.sequences)
