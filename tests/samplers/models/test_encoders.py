"""Every masked language model of transformers: a padded row says what the row says alone, or the model is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from support import slow_except
from tiny_encoders import MASK, PAD, POSITIONS, VOCABULARY, architectures, tiny

from samplers import ConfidenceScheduler, denoiser_for, generate, models

#: Refused where a batch is padded; a row alone, and rows of one length, are decoded. Those that are missing here work.
REFUSED = {
    "bart": "its decoder gets no mask: padding is what the first tokens of a row follow",
    "convbert": "a convolution mixes neighbours, padding too",
    "fnet": "takes no mask: a Fourier transform mixes all positions",
    "funnel": "pools tokens by pairs, and so sees where a row begins",
    "mbart": "as bart",
    "mobilebert": "its embedding of a token holds both neighbours', padding too",
    "mvp": "as bart",
    "nystromformer": "attends to means of neighbouring tokens, padding too",
    "reformer": "pads rows to whole chunks itself, and fails; it hashes at random, too",
    "yoso": "hashes at random: it says something else each time",
}
#: No denoisers, padded or not.
NO_DENOISERS = {
    "perceiver": "returns a row for every position that it has, not for every token",
}
EVERY = sorted(architectures())
#: Of usual, numbered and relative positions, one of the newest, and one that is refused.
FEW = ("bert", "roberta", "deberta-v2", "modernbert", "funnel")


def loaded(directory: Path, name: str) -> Any:
    tiny(name).save_pretrained(directory)
    return models.load(directory)


@pytest.mark.parametrize("name", slow_except(FEW, sorted(set(EVERY) - set(NO_DENOISERS))))
@pytest.mark.parametrize("raw", [True, False])
def test_padded_row_says_what_it_says_alone(tmp_path: Path, name: str, raw: bool) -> None:
    model = tiny(name) if raw else loaded(tmp_path, name)
    denoiser = denoiser_for(model)
    generator = torch.Generator().manual_seed(1)
    for padding in (1, 2, 3, 5, 8, 13):
        row = torch.randint(3, VOCABULARY - 1, (9,), generator=generator)
        # A padding token among the answer's tokens, and masks.
        row[5], row[6:8] = PAD, MASK
        longer = torch.randint(3, VOCABULARY - 1, (9 + padding,), generator=generator)
        ids = torch.stack([longer, torch.cat([torch.full((padding,), PAD), row])])
        mask = torch.ones_like(ids)
        mask[1, :padding] = 0
        window = 3 + padding, 9 + padding
        with torch.no_grad():
            if name in REFUSED:
                with pytest.raises(ValueError, match=r"padding changes the logits|takes no attention_mask") as error:
                    denoiser.window_logits(ids, mask, *window)
                assert "\n" not in str(error.value)
                continue
            together = denoiser.window_logits(ids, mask, *window)
            assert torch.allclose(together[1], denoiser.window_logits(row[None], None, 3, 9)[0], atol=1e-3)
            assert torch.allclose(together[0], denoiser.window_logits(longer[None], None, *window)[0], atol=1e-3)


@pytest.mark.parametrize("name", slow_except(FEW, sorted(set(EVERY) - set(NO_DENOISERS))))
def test_loaded_model_says_what_the_raw_one_says(tmp_path: Path, name: str) -> None:
    if name in ("reformer", "yoso"):
        pytest.skip(REFUSED[name])
    raw, ids = tiny(name), torch.tensor([[5, 6, PAD, MASK, 9, 10, 11]])
    plain = ids.where(ids != PAD, 12)
    with torch.no_grad():
        ours = loaded(tmp_path, name)
        assert torch.allclose(ours(plain).logits, raw(plain).logits, atol=1e-4)
        of_raw, of_loaded = (denoiser_for(model).window_logits(ids, None, 1, 7) for model in (raw, ours))
    assert torch.allclose(of_raw, of_loaded, atol=1e-4)


@pytest.mark.parametrize("name", slow_except(FEW, sorted(set(EVERY) - set(NO_DENOISERS))))
@pytest.mark.parametrize("raw", [True, False])
def test_context_ends_in_one_line(tmp_path: Path, name: str, raw: bool) -> None:
    """Up to its last position a model decodes; one token more is refused, unless its positions have no end."""
    model = tiny(name) if raw else loaded(tmp_path, name)
    lengths = range(POSITIONS - 4, POSITIONS + 3)
    refusals = [refusal(model, length) for length in lengths]
    told = [message is not None for message in refusals]
    assert told == sorted(told)
    for length, message in zip(lengths, refusals, strict=True):
        assert message is None or (
            re.search(f"are {length} tokens, but|less or equal", message) and "\n" not in message
        )


def refusal(model: Any, length: int) -> str | None:
    """What a generation of `length` tokens is refused with."""
    prompt = torch.full((1, length - 2), 7)
    try:
        generate(model, prompt, scheduler=ConfidenceScheduler(k=2), max_new_tokens=2, mask_token_id=MASK)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", sorted(NO_DENOISERS))
def test_what_is_no_denoiser_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="should be"):
        denoiser_for(tiny(name)).window_logits(torch.tensor([[5, 6, MASK, 8, 9, 10, 11, 12, 13]]), None, 1, 4)


def test_lists_name_what_transformers_has() -> None:
    assert set(REFUSED) | set(NO_DENOISERS) <= set(EVERY)


def test_a_numbered_table_is_what_makes_positions_begin_elsewhere() -> None:
    model = tiny("xlm-roberta")
    ids = torch.tensor([[5, 6, PAD, MASK]])
    with torch.no_grad():
        counted = model(ids, attention_mask=torch.ones_like(ids), position_ids=torch.arange(PAD + 1, PAD + 5)[None])
        assert torch.allclose(denoiser_for(model).window_logits(ids, None, 0, 4), counted.logits, atol=1e-5)
        assert not torch.allclose(model(ids).logits, counted.logits, atol=1e-2)
