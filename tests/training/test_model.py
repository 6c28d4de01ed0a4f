"""The network that is trained is the one that is loaded."""

import json

import pytest
import torch
from safetensors.torch import load_file

import hub_dataset
from samplers import models
from training.export import export_model
from training.model import ModelConfig, ReferenceModel, masked_loss

SMALL = ModelConfig(hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=3, head_dim=16)


@pytest.fixture
def exported(directory):
    model = ReferenceModel(SMALL, seed=1)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)) * 0.1)
    export_model(model.state_dict(), SMALL, directory)
    return directory


def load_exported(directory) -> ReferenceModel:
    """The model of a directory as the network that is trained."""
    model = ReferenceModel(SMALL)
    weights = load_file(directory / "model.safetensors")
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model.eval()


def test_the_exported_model_gives_the_logits_of_the_trained_one(exported) -> None:
    trained, loaded = load_exported(exported), models.load(str(exported), dtype="float32")
    tokenizer = models.load_tokenizer(str(exported))
    prompts = [
        tokenizer.apply_chat_template(row["messages"], add_generation_prompt=True, tokenize=True, return_dict=True)[
            "input_ids"
        ]
        for row in hub_dataset.build_rows("waiting_line_shuffle")[:3]
    ]
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    longest, window = int(lengths.max()), 12
    padded = torch.tensor([prompt + [loaded.pad_token_id] * (longest - len(prompt)) for prompt in prompts])
    windows = torch.randint(0, loaded.vocab_size, (3, 2, window), generator=torch.Generator().manual_seed(3))
    # A second assistant token would be taken for the answer's beginning.
    windows[windows == loaded.config.answer_start_token_id] = loaded.mask_token_id

    with torch.no_grad():
        logits = trained.logits(trained(padded, lengths, windows))
        for row in range(3):
            for answer in range(2):
                whole = torch.cat([torch.tensor(prompts[row]), windows[row, answer]])[None]
                expected = loaded(whole).logits[0]
                start = 3 * longest + (2 * row + answer) * window
                of_prompt = logits[row * longest : row * longest + len(prompts[row])]
                assert torch.allclose(of_prompt, expected[: len(prompts[row])], atol=1e-4)
                assert torch.allclose(logits[start : start + window], expected[len(prompts[row]) :], atol=1e-4)


def test_the_config_names_the_tokens(exported) -> None:
    entries = json.loads((exported / "config.json").read_text())
    tokenizer = models.load_tokenizer(str(exported))
    assert entries["model_type"] == "parallelbench"
    assert entries["mask_token_id"] == tokenizer.mask_token_id
    assert entries["eos_token_id"] == tokenizer.eos_token_id
    assert entries["answer_start_token_id"] == tokenizer.convert_tokens_to_ids("<|assistant|>")


def test_an_answer_does_not_see_another_one(exported) -> None:
    model = load_exported(exported)
    prompts, lengths = torch.randint(10, 400, (1, 9)), torch.tensor([9])
    windows = torch.randint(10, 400, (1, 2, 6))
    changed = windows.clone()
    changed[0, 1] = 11
    with torch.no_grad():
        before, after = model(prompts, lengths, windows), model(prompts, lengths, changed)
    assert torch.equal(before[: 9 + 6], after[: 9 + 6])
    assert not torch.allclose(before[9 + 6 :], after[9 + 6 :])


def test_padding_changes_nothing(exported) -> None:
    model = load_exported(exported)
    prompts, lengths = torch.randint(10, 400, (1, 9)), torch.tensor([9])
    windows = torch.randint(10, 400, (1, 1, 6))
    with torch.no_grad():
        plain = model(prompts, lengths, windows)
        padded = model(torch.cat([prompts, torch.full((1, 5), 77)], dim=1), lengths, windows)
    assert torch.allclose(plain[9:], padded[14:], atol=1e-5)


def test_the_loss_is_the_divergence_from_the_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(5, 8, generator=generator), torch.randn(7, 8, generator=generator)
    positions = torch.tensor([1, 4])
    owners, tokens = torch.tensor([0, 1, 1]), torch.tensor([3, 0, 6])
    weights = torch.tensor([1.0, 0.25, 0.75])
    expected = torch.zeros(2, 7)
    expected[0, 3], expected[1, 0], expected[1, 6] = 1.0, 0.25, 0.75
    scores = (hidden[positions] @ weight.T).log_softmax(dim=-1)
    divergence = torch.nn.functional.kl_div(scores, expected, reduction="none").sum(dim=-1)
    assert torch.allclose(masked_loss(hidden, weight, positions, owners, tokens, weights), divergence, atol=1e-5)
