"""The exact denoiser: conditionals equal direct counting, whatever stands beside a row; bad input is refused."""

from collections import Counter
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.ideal import ExactDenoiser, build_tokenizer, valid_answers
from benchmark.ideal.tokenizer import ASSISTANT

NEW_TOKENS = 36


@pytest.fixture(scope="module")
def tokenizer(mixed_rows):
    return build_tokenizer(mixed_rows)


@pytest.fixture(scope="module")
def denoiser(mixed_rows, tokenizer):
    return ExactDenoiser.from_rows(mixed_rows, tokenizer, max_new_tokens=NEW_TOKENS)


def encode(rows, tokenizer, new_tokens):
    """Prompts followed by masks, and an attention mask over both."""
    batch = tokenizer.apply_chat_template(
        [row["messages"] for row in rows],
        add_generation_prompt=True,
        return_dict=True,
        padding=True,
        return_tensors="pt",
    )
    prompts, attention = batch["input_ids"], batch["attention_mask"]
    masks = torch.full((len(rows), new_tokens), tokenizer.mask_token_id)
    return torch.cat([prompts, masks], 1), torch.cat([attention, torch.ones_like(masks)], 1), prompts.shape[1]


@pytest.fixture(scope="module")
def tokenized_answers(mixed_rows, tokenizer):
    """Per row the padded token ids of all valid answers, through plain tokenization."""

    @cache
    def of_row(index, new_tokens):
        answers = [tokenizer(answer).input_ids for answer in valid_answers(mixed_rows[index]["reference"])]
        return [ids + [tokenizer.eos_token_id] * (new_tokens - len(ids)) for ids in answers]

    return of_row


def reveal(data, answers, num_tokens):
    """A partial state: tokens of some answer, some of them put out of place in one case of three."""
    state = list(data.draw(st.sampled_from(answers)))
    hidden = data.draw(st.sets(st.integers(0, len(state) - 1), min_size=len(state) // 3))
    if data.draw(st.integers(0, 2)) == 0:
        place = data.draw(st.integers(0, len(state) - 1))
        state[place] = data.draw(st.integers(0, num_tokens - 1))
    return [None if place in hidden else token for place, token in enumerate(state)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_conditionals_equal_direct_counting(data, mixed_rows, tokenizer, denoiser, tokenized_answers):
    index = data.draw(st.integers(0, len(mixed_rows) - 1))
    answers = tokenized_answers(index, NEW_TOKENS)
    state = reveal(data, answers, len(tokenizer))
    # The token that ends a prompt cannot stand in an answer: the prompt would end there.
    nothing = (tokenizer.mask_token_id, tokenizer.convert_tokens_to_ids(ASSISTANT))
    state = [None if token in nothing else token for token in state]
    agreeing = [
        answer
        for answer in answers
        if all(seen is None or seen == token for seen, token in zip(state, answer, strict=True))
    ]
    counted = agreeing or answers

    input_ids, attention, prompt_length = encode([mixed_rows[index]], tokenizer, NEW_TOKENS)
    for place, token in enumerate(state):
        if token is not None:
            input_ids[0, prompt_length + place] = token
    keep = torch.arange(prompt_length, input_ids.shape[1])
    found = denoiser(input_ids, attention, keep).logits[0]
    assert found.dtype == torch.float32
    for place in range(NEW_TOKENS):
        counts = Counter(answer[place] for answer in counted)
        possible = (~found[place].isinf()).nonzero().squeeze(1).tolist()
        assert possible == sorted(counts)
        for token, count in counts.items():
            assert found[place, token].exp().item() == pytest.approx(count / len(counted), rel=1e-6)
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(NEW_TOKENS))


def mixed_states(mixed_rows, tokenizer, tokenized_answers):
    """All rows in one batch, each with a third of some answer revealed; every fourth is at a dead end."""
    input_ids, attention, prompt_length = encode(mixed_rows, tokenizer, NEW_TOKENS)
    generator = torch.Generator().manual_seed(0)
    for row in range(len(mixed_rows)):
        answers = tokenized_answers(row, NEW_TOKENS)
        answer = torch.tensor(answers[row % len(answers)])
        seen = torch.rand(NEW_TOKENS, generator=generator) < 1 / 3
        input_ids[row, prompt_length:][seen] = answer[seen]
        if row % 4 == 0:
            input_ids[row, -1] = answer[0]
    return input_ids, attention, prompt_length


@pytest.mark.parametrize("tie_noise", [0.0, 1e-4])
def test_a_batch_equals_its_rows_alone_bit_for_bit(mixed_rows, tokenizer, tokenized_answers, tie_noise):
    denoiser = ExactDenoiser.from_rows(mixed_rows, tokenizer, tie_noise=tie_noise)
    input_ids, attention, prompt_length = mixed_states(mixed_rows, tokenizer, tokenized_answers)
    keep = torch.arange(prompt_length, input_ids.shape[1])
    together = denoiser(input_ids, attention, keep).logits
    reordered = torch.arange(len(mixed_rows)).flip(0).repeat(2)
    assert torch.equal(denoiser(input_ids[reordered], attention[reordered], keep).logits, together[reordered])
    for row in range(len(mixed_rows)):
        alone = ExactDenoiser.from_rows([mixed_rows[row]], tokenizer, tie_noise=tie_noise)
        unpadded = input_ids[row, attention[row].bool()].unsqueeze(0)
        keep_alone = torch.arange(unpadded.shape[1] - NEW_TOKENS, unpadded.shape[1])
        assert torch.equal(alone(unpadded, logits_to_keep=keep_alone).logits[0], together[row])
        assert torch.equal(denoiser(unpadded, logits_to_keep=keep_alone).logits[0], together[row])


def test_padding_is_told_by_the_attention_mask_or_by_the_pad_token(mixed_rows, tokenizer, denoiser):
    input_ids, attention, prompt_length = encode(mixed_rows, tokenizer, NEW_TOKENS)
    keep = torch.arange(prompt_length, input_ids.shape[1])
    expected = denoiser(input_ids, attention, keep).logits
    assert torch.equal(denoiser(input_ids, None, keep).logits, expected)
    padded_with_other = input_ids.masked_fill(attention == 0, tokenizer.mask_token_id)
    assert torch.equal(denoiser(padded_with_other, attention, keep).logits, expected)


def test_the_generation_length_may_change_from_call_to_call(mixed_rows, tokenizer, denoiser):
    rows = mixed_rows[:3]
    for new_tokens in (32, 64, 20, 64):
        input_ids, attention, prompt_length = encode(rows, tokenizer, new_tokens)
        logits = denoiser(input_ids, attention, torch.arange(prompt_length, input_ids.shape[1])).logits
        assert logits.shape == (3, new_tokens, denoiser.vocab_size)
        assert bool((logits[:, 20:, tokenizer.eos_token_id] == 0).all())


def test_a_revealed_position_has_its_conditional(make_row):
    row = make_row("list_shuffle", 3)
    tokenizer = build_tokenizer([row], item_tokens=True)
    denoiser = ExactDenoiser.from_rows([row], tokenizer)
    input_ids, attention, prompt_length = encode([row], tokenizer, 4)
    first = tokenizer.encode_items(row["answer"])[0]
    input_ids[0, prompt_length] = first
    logits = denoiser(input_ids, attention).logits[0, prompt_length]
    assert logits[first] == 0.0
    assert int((~logits.isinf()).sum()) == 1


def test_kept_positions_are_those_of_the_full_logits(mixed_rows, tokenizer, denoiser, tokenized_answers):
    input_ids, attention, prompt_length = mixed_states(mixed_rows, tokenizer, tokenized_answers)
    everything = denoiser(input_ids, attention).logits
    assert everything.shape == (*input_ids.shape, denoiser.vocab_size)
    length = input_ids.shape[1]
    for keep in (
        torch.tensor([length - 1]),
        torch.arange(prompt_length + 4, prompt_length + 8),
        torch.tensor([prompt_length + 5, 3, prompt_length, prompt_length - 1]),
        torch.tensor([prompt_length + 5, 3, 3, prompt_length + 5, prompt_length + 6]),
        torch.tensor([], dtype=torch.long),
    ):
        assert torch.equal(denoiser(input_ids, attention, keep).logits, everything[:, keep])
    assert torch.equal(denoiser(input_ids, attention, 5).logits, everything[:, -5:])
    assert torch.equal(denoiser(input_ids, attention, 0).logits, everything)


def test_prompt_positions_have_all_probability_on_their_token(mixed_rows, tokenizer, denoiser):
    input_ids, attention, prompt_length = encode(mixed_rows, tokenizer, NEW_TOKENS)
    probabilities = denoiser(input_ids, attention).logits[:, :prompt_length].exp()
    one_hot = torch.nn.functional.one_hot(input_ids[:, :prompt_length], denoiser.vocab_size).float()
    assert torch.equal(probabilities, one_hot)


def test_logits_of_earlier_calls_stay_as_they_were(mixed_rows, tokenizer, denoiser):
    input_ids, attention, _ = encode(mixed_rows, tokenizer, NEW_TOKENS)
    first = denoiser(input_ids, attention).logits
    kept = first.clone()
    first.zero_()
    assert torch.equal(denoiser(input_ids, attention).logits, kept)


def test_special_tokens_and_words_of_the_prompt_are_never_proposed(mixed_rows, tokenizer, denoiser):
    input_ids, attention, prompt_length = encode(mixed_rows, tokenizer, NEW_TOKENS)
    logits = denoiser(input_ids, attention, torch.arange(prompt_length, input_ids.shape[1])).logits
    for token in set(tokenizer.all_special_ids) - {tokenizer.eos_token_id}:
        assert bool(logits[..., token].isinf().all())


def test_unknown_prompts_are_refused_by_row(mixed_rows, tokenizer):
    denoiser = ExactDenoiser.from_rows(mixed_rows[:-1], tokenizer)
    input_ids, attention, _ = encode(mixed_rows, tokenizer, NEW_TOKENS)
    with pytest.raises(ValueError, match=f"row {len(mixed_rows) - 1} .*knows only those of the {len(mixed_rows) - 1}"):
        denoiser(input_ids, attention)


def test_sequences_without_a_prompt_are_refused(mixed_rows, tokenizer, denoiser):
    with pytest.raises(ValueError, match=r"row 0 .*<\|assistant\|>"):
        denoiser(torch.full((2, 40), tokenizer.mask_token_id))
    input_ids, _, prompt_length = encode(mixed_rows[:1], tokenizer, NEW_TOKENS)
    shifted = torch.cat([input_ids, input_ids.roll(1, dims=1)])
    with pytest.raises(ValueError, match=f"positions .{prompt_length}, {prompt_length + 1}"):
        denoiser(shifted)


def test_too_few_new_tokens_are_refused_with_the_number_needed(make_row):
    row = make_row("list_match", 4)
    tokenizer = build_tokenizer([row])
    with pytest.raises(ValueError, match="row 0: its longest answer takes 16 tokens"):
        ExactDenoiser.from_rows([row], tokenizer, max_new_tokens=15)
    denoiser = ExactDenoiser.from_rows([row], tokenizer, max_new_tokens=16)
    assert denoiser.longest_answer == 16
    input_ids, attention, _ = encode([row], tokenizer, 15)
    with pytest.raises(ValueError, match=r"row 0 needs 16 tokens .*only 15"):
        denoiser(input_ids, attention)


def test_bad_arguments_are_refused(mixed_rows, tokenizer, denoiser):
    input_ids, attention, _ = encode(mixed_rows[:2], tokenizer, NEW_TOKENS)
    length = input_ids.shape[1]
    for wrong in (input_ids[0], input_ids.float(), input_ids[:0]):
        with pytest.raises(ValueError, match="input_ids has shape"):
            denoiser(wrong)
    with pytest.raises(ValueError, match="attention_mask has shape"):
        denoiser(input_ids, attention[:, 1:])
    for wrong in (torch.tensor([length]), torch.tensor([-1]), torch.tensor([0.5]), length + 1, -1):
        with pytest.raises(ValueError, match="logits_to_keep"):
            denoiser(input_ids, attention, wrong)


def test_rows_that_cannot_be_modelled_are_refused_by_number(make_row):
    fine, other = make_row("list_match", 3, 0), make_row("list_match", 3, 1)
    tokenizer = build_tokenizer([fine, other])
    with pytest.raises(ValueError, match="at least one row"):
        ExactDenoiser.from_rows([], tokenizer)
    with pytest.raises(ValueError, match="row 1: scorer 'paraphrase'"):
        ExactDenoiser.from_rows([fine, {**other, "reference": '{"scorer": "paraphrase"}'}], tokenizer)
    with pytest.raises(ValueError, match="row 1 has the prompt of an earlier row"):
        ExactDenoiser.from_rows([fine, {**fine, "reference": other["reference"]}], tokenizer)
    with pytest.raises(ValueError, match="row 0: the tokenizer does not know"):
        ExactDenoiser.from_rows([make_row("list_match", 3, 2)], tokenizer)
    with pytest.raises(ValueError, match="tie_noise"):
        ExactDenoiser.from_rows([fine], tokenizer, tie_noise=-1.0)


def test_a_row_given_twice_counts_once(make_row):
    row = make_row("list_shuffle", 3)
    tokenizer = build_tokenizer([row])
    twice = ExactDenoiser.from_rows([row, row], tokenizer)
    input_ids, attention, _ = encode([row, row], tokenizer, 16)
    logits = twice(input_ids, attention).logits
    assert torch.equal(logits[0], logits[1])


def test_noise_breaks_ties_and_depends_on_seed_and_row(make_row):
    rows = [make_row("list_shuffle", 3, number) for number in range(2)]
    tokenizer = build_tokenizer(rows, item_tokens=True)
    input_ids, attention, prompt_length = encode(rows, tokenizer, 3)
    keep = torch.arange(prompt_length, prompt_length + 3)

    def logits(seed, tie_noise=1e-4):
        denoiser = ExactDenoiser.from_rows(rows, tokenizer, tie_noise=tie_noise, tie_seed=seed)
        return denoiser(input_ids, attention, keep).logits

    plain, noisy = logits(0, 0.0), logits(0)
    assert torch.equal(noisy, logits(0))
    assert not torch.equal(noisy, logits(1))
    possible = ~plain.isinf()
    raised = (noisy - plain)[possible]
    assert bool(((raised >= 0) & (raised <= 1.01e-4)).all())
    assert len(set(raised.tolist())) > len(raised) // 2
    first, second = (noisy[row][possible[row]] - plain[row][possible[row]] for row in range(2))
    assert not torch.equal(first, second)


def test_benchmark_tasks_can_all_be_modelled():
    hub_dataset = pytest.importorskip("hub_dataset")
    for task in hub_dataset.default_task_names():
        rows = hub_dataset.build_rows(task)[::5]
        tokenizer = build_tokenizer(rows)
        new_tokens = hub_dataset.task_info(task).max_new_tokens
        denoiser = ExactDenoiser.from_rows(rows, tokenizer, max_new_tokens=new_tokens)
        assert denoiser.vocab_size <= 600
        for row in rows:
            assert row["answer"] in valid_answers(row["reference"])
            for text in (row["prompt"], row["answer"]):
                assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
