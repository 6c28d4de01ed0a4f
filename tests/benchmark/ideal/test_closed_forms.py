"""What the exact denoiser samples, driven by a plain loop, agrees with the closed forms of the theory."""

import json
from functools import cache
from math import comb, factorial, prod, sqrt

import pytest
import torch

from benchmark.ideal import ExactDenoiser, build_tokenizer, valid_answers


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


def sample(model, input_ids, prompt_length, k, *, order="random", greedy=False, seed=0):
    """Commit k positions per step, in random order or from the left; returns the generated tokens, (batch, new)."""
    generator = torch.Generator().manual_seed(seed)
    sequences = input_ids.clone()
    batch, new_tokens = len(input_ids), input_ids.shape[1] - prompt_length
    keep = torch.arange(prompt_length, input_ids.shape[1])
    ranked = torch.arange(new_tokens).expand(batch, -1)
    if order == "random":
        ranked = torch.rand(batch, new_tokens, generator=generator).argsort(dim=1)
    for start in range(0, new_tokens, k):
        places = ranked[:, start : start + k]
        logits = model(sequences, logits_to_keep=keep).logits
        chosen = logits.gather(1, places.unsqueeze(2).expand(-1, -1, logits.shape[2]))
        if greedy:
            tokens = chosen.argmax(dim=2)
        else:
            flat = chosen.softmax(dim=2).flatten(0, 1)
            tokens = torch.multinomial(flat, 1, generator=generator).view(places.shape)
        sequences.scatter_(1, places + prompt_length, tokens)
    return sequences[:, prompt_length:]


def accuracy(model, rows, tokenizer, new_tokens, samples, **how):
    """Share of valid answers among `samples` per row."""
    input_ids, _, prompt_length = encode(rows, tokenizer, new_tokens)
    include_input = how.pop("include_input", False)
    valid = [set(valid_answers(row["reference"], include_input=include_input)) for row in rows]
    generated = sample(model, input_ids.repeat(samples, 1), prompt_length, **how)
    texts = tokenizer.batch_decode(generated, skip_special_tokens=True)
    return sum(text in valid[index % len(rows)] for index, text in enumerate(texts)) / len(texts)


def assert_share(found, expected, trials):
    """Within four standard errors; exact where the share is 0 or 1."""
    assert abs(found - expected) <= 4 * sqrt(expected * (1 - expected) / trials) + 1e-12, (found, expected)


def one_item_model(rows, **options):
    tokenizer = build_tokenizer(rows, item_tokens=True)
    return ExactDenoiser.from_rows(rows, tokenizer, **options), tokenizer


def chunks(n, k):
    return [min(k, n - start) for start in range(0, n, k)]


SAMPLES = 4000


@pytest.mark.parametrize(("n", "k"), [(3, 1), (3, 2), (3, 3), (4, 2), (4, 4), (5, 2), (5, 3), (6, 4)])
@pytest.mark.parametrize("order", ["random", "left_to_right"])
def test_shuffle_samples_as_its_closed_form_says(make_row, n, k, order):
    row = make_row("list_shuffle", n)
    model, tokenizer = one_item_model([row], include_input=True)
    left = n
    expected = float(factorial(n))
    for size in chunks(n, k):
        expected /= left**size
        left -= size
    found = accuracy(model, [row], tokenizer, n, SAMPLES, k=k, order=order, include_input=True)
    assert_share(found, expected, SAMPLES)


def test_shuffle_that_must_differ_samples_as_enumeration_says(make_row):
    def derangements(n):
        return round(sum((-1) ** i * factorial(n) / factorial(i) for i in range(n + 1)))

    row = make_row("list_shuffle", 3)
    model, tokenizer = one_item_model([row])
    assert_share(accuracy(model, [row], tokenizer, 3, SAMPLES, k=2), 0.64, SAMPLES)
    for n in (3, 4):
        row = make_row("list_shuffle", n)
        model, tokenizer = one_item_model([row])
        stays = (factorial(n - 1) - 1) / (factorial(n) - 1)
        moves = factorial(n - 1) / (factorial(n) - 1)
        expected = sum(comb(n, f) * derangements(n - f) * stays**f * moves ** (n - f) for f in range(n))
        assert_share(accuracy(model, [row], tokenizer, n, SAMPLES, k=n), expected, SAMPLES)


@pytest.mark.parametrize(("n", "k"), [(3, 1), (3, 2), (4, 2), (4, 3), (5, 5), (6, 4)])
def test_replace_samples_as_its_closed_form_says(make_row, n, k):
    row = make_row("list_replace", n)
    model, tokenizer = one_item_model([row])
    expected, not_yet, left = 0.0, 1.0, n
    for size in chunks(n, k):
        expected += not_yet * size / left * (1 - 1 / left) ** (size - 1)
        not_yet *= (1 - 1 / left) ** size
        left -= size
    assert_share(accuracy(model, [row], tokenizer, n, SAMPLES, k=k), expected, SAMPLES)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_insert_and_remove_in_one_step_sample_as_their_closed_forms_say(make_row, n):
    slots = n + 1
    row = make_row("list_insert", n)
    model, tokenizer = one_item_model([row])
    expected = factorial(slots - 1) * 2 ** (slots - 1) / slots**slots
    assert_share(accuracy(model, [row], tokenizer, slots, SAMPLES, k=slots), expected, SAMPLES)

    row = make_row("list_remove", n)
    model, tokenizer = one_item_model([row])
    expected = factorial(n) * 2 ** (n - 1) / n**n
    assert_share(accuracy(model, [row], tokenizer, n - 1, SAMPLES, k=n), expected, SAMPLES)


@pytest.mark.parametrize(("k", "expected", "samples"), [(1, 1.0, 300), (2, 0.135, 3000), (4, 0.001736, 12000)])
def test_latin_squares_from_the_left_sample_as_enumeration_says(make_row, k, expected, samples):
    row = make_row("latin_square", 4)
    model, tokenizer = one_item_model([row])
    found = accuracy(model, [row], tokenizer, 16, samples, k=k, order="left_to_right")
    # The published share is rounded to three digits.
    assert_share(found, expected, samples * 0.99)


GREEDY_ROWS = 500


@pytest.fixture(scope="module")
def greedy(make_row):
    """A function that gives the share of valid answers under greedy decoding with ties broken at random."""

    @cache
    def prepared(kind, n):
        # Every row has noise of its own, so rows take the place of samples.
        items = [f"Person {letter}" for letter in "ABCDEFGH"[: n + 1]]
        rows = [make_row(kind, number=number, items=items) for number in range(GREEDY_ROWS)]
        model, tokenizer = one_item_model(rows, include_input=True, tie_noise=1e-4, tie_seed=5)
        return rows, model, tokenizer

    return prepared


@pytest.mark.parametrize(("n", "k"), [(4, 2), (3, 3), (5, 2)])
def test_greedy_shuffle_with_ties_broken_at_random_is_right_as_often_as_sampled(greedy, n, k):
    rows, model, tokenizer = greedy("list_shuffle", n)
    expected = factorial(n) / prod((n - k * step) ** size for step, size in enumerate(chunks(n, k)))
    found = accuracy(model, rows, tokenizer, n, 1, k=k, greedy=True, include_input=True)
    assert_share(found, expected, GREEDY_ROWS)


@pytest.mark.parametrize(("n", "k", "expected"), [(5, 2, 1.0), (4, 2, 0.5), (5, 3, 0.5), (3, 3, 0.0), (4, 3, 1.0)])
def test_greedy_replace_depends_on_the_last_chunk(greedy, n, k, expected):
    rows, model, tokenizer = greedy("list_replace", n)
    assert_share(accuracy(model, rows, tokenizer, n, 1, k=k, greedy=True), expected, GREEDY_ROWS)


@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 2), (5, 4)])
def test_greedy_remove_is_always_right(greedy, n, k):
    rows, model, tokenizer = greedy("list_remove", n)
    assert accuracy(model, rows, tokenizer, n - 1, 1, k=k, greedy=True) == 1.0


def test_greedy_shuffle_without_noise_puts_one_person_everywhere(make_row):
    row = make_row("list_shuffle", 4)
    model, tokenizer = one_item_model([row], include_input=True)
    assert accuracy(model, [row], tokenizer, 4, 1, k=2, greedy=True, include_input=True) == 0.0


@pytest.mark.parametrize(("threshold", "together"), [(0.9, 1), (0.5, 2), (0.3, 3)])
def test_greedy_shuffle_under_a_threshold_agrees_with_its_closed_form(greedy, threshold, together):
    n = 4
    rows, model, tokenizer = greedy("list_shuffle", n)
    sequences, _, prompt_length = encode(rows, tokenizer, n)
    keep = torch.arange(prompt_length, prompt_length + n)
    for _ in range(n):
        masked = sequences[:, keep] == tokenizer.mask_token_id
        confidence, tokens = model(sequences, logits_to_keep=keep).logits.softmax(dim=2).max(dim=2)
        confidence = confidence.masked_fill(~masked, -1.0)
        surest = torch.nn.functional.one_hot(confidence.argmax(dim=1), n).bool()
        commit = masked & ((confidence >= threshold) | surest)
        sequences[:, keep] = torch.where(commit, tokens, sequences[:, keep])
    texts = tokenizer.batch_decode(sequences[:, keep], skip_special_tokens=True)
    right = sum(len(set(json.loads(text))) == n for text in texts)
    assert_share(right / GREEDY_ROWS, factorial(together) / together**together, GREEDY_ROWS)


@pytest.mark.parametrize(("k", "expected"), [(1, 100.0), (2, 86.0), (4, 61.0), (8, 33.0), (16, 10.0), (32, 0.5)])
def test_shuffle_with_names_of_two_words_shows_the_realistic_curve(shuffle_task, k, expected):
    model, rows, tokenizer = shuffle_task
    found = 100 * accuracy(model, rows, tokenizer, 32, 8, k=k)
    assert found == expected if k == 1 else abs(found - expected) < 4


@pytest.fixture(scope="module")
def shuffle_task():
    hub_dataset = pytest.importorskip("hub_dataset")
    rows = hub_dataset.build_rows("waiting_line_shuffle")
    tokenizer = build_tokenizer(rows)
    return ExactDenoiser.from_rows(rows, tokenizer), rows, tokenizer
