"""The independent networks: what they say is what lies in the golden folders, and families of other names are told."""

from pathlib import Path

import pytest
import record_independent_logits as recorder
import torch
from independent_models import IndependentModel
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from recorded_logits import INDEPENDENT, cases_of, sample_of
from transformers import Qwen3Config, Qwen3ForCausalLM


def test_every_folder_is_recorded() -> None:
    assert sorted(recorder.CONFIGS) == sorted(INDEPENDENT)


@pytest.mark.slow
def test_a_second_run_says_the_same(tmp_path: Path) -> None:
    recorder.main(tmp_path)
    for folder in INDEPENDENT:
        for old, new in zip(cases_of(sample_of(folder)), cases_of(tmp_path / folder), strict=True):
            assert old.facts == new.facts
            for role, tensor in old.tensors.items():
                torch.testing.assert_close(new.tensors[role], tensor, rtol=0, atol=1e-6)


def test_under_a_causal_mask_they_say_what_transformers_says(tmp_path: Path) -> None:
    """The one thing that both know: a causal Qwen3."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=6, rope_parameters={"rope_type": "default", "rope_theta": 1e4},
    )  # fmt: skip
    theirs = Qwen3ForCausalLM(config).double().eval()
    write_checkpoint(tmp_path, TINY_CONFIGS["dream_reasoner"] | {"vocab_size": 40, "rope_theta": 1e4})
    theirs.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(
        (tmp_path / "config.json").read_text().replace("Qwen3ForCausalLM", "DreamForCausalLM")
    )
    ids = torch.randint(0, 40, (2, 9))
    causal = torch.ones(9, 9, dtype=torch.bool).tril()[None]
    ours = IndependentModel(tmp_path).logits(ids, causal, torch.arange(9).expand(2, -1))
    with torch.no_grad():
        torch.testing.assert_close(ours, theirs(ids).logits, rtol=1e-6, atol=1e-6)
