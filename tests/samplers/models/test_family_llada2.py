"""LLaDA2.2: its routing is computed, its edits are not, and loading says so."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from random_checkpoint import IDS, written
from recorded_logits import TOLERANCE, cases_of, run_case, sample_of

from samplers import ConfidenceScheduler, WINOScheduler, generate, models
from samplers.denoisers import ModelDenoiser, SessionRequest


def test_edits_are_said_not_to_be_done_and_never_proposed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = models.load(written(tmp_path, "llada2_2"))
    (said,) = {record.getMessage() for record in caplog.records if str(tmp_path) in record.getMessage()}
    assert "deleting and inserting tokens changes the length of an answer, which is not done here" in said
    assert "(58, 59) are never proposed" in said
    assert model.withheld_token_ids == (58, 59)
    model.lm_head.weight[58] = model.lm_head.weight[59] = 100.0
    shares = model(IDS).logits.softmax(dim=-1)
    assert shares[..., 58:60].max() == 0
    for temperature in (0.0, 1.0):
        output = generate(
            model, IDS, scheduler=ConfidenceScheduler(k=2, temperature=temperature), max_new_tokens=12, cfg_scale=0.5
        )
        assert not torch.isin(output.answers, torch.tensor([58, 59])).any()


def test_published_vocabulary_says_where_the_edits_are(tmp_path: Path) -> None:
    silent = {"delete_token_id": None, "split_token_id": None, "vocab_size": 157184, "mask_token_id": 156895}
    assert models.load(written(tmp_path, "llada2_2", config=silent)).withheld_token_ids == (156930, 156931)
    # LLaDA2.1 has other tokens there.
    older = silent | {"expert_capacity": None}
    assert models.load(written(tmp_path / "older", "llada2_2", config=older)).withheld_token_ids == ()


@pytest.mark.parametrize("capacity", [8, None])
def test_recorded_logits_are_those_of_a_capacity_that_matters(tmp_path: Path, capacity: int | None) -> None:
    source = sample_of("llada2_2_b")
    shutil.copytree(source, tmp_path / "free")
    config = json.loads((source / "config.json").read_text()) | {"expert_capacity": capacity}
    (tmp_path / "free" / "config.json").write_text(json.dumps(config))
    model = models.load(tmp_path / "free")
    for case in cases_of(source):
        if case.kind in ("block_causal", "padded") and case.ids.shape[1] > 1:
            assert case.difference(run_case(model, case)) > 1000 * TOLERANCE, case.name


def test_what_would_run_a_part_of_a_block_is_refused(tmp_path: Path) -> None:
    model = models.load(written(tmp_path, "llada2_2"))
    with pytest.raises(ValueError, match="cache='dual' would run parts of blocks"):
        ModelDenoiser(model).session(SessionRequest(None, 4, 4, cache="dual"))
    with pytest.raises(ValueError, match="no shadow tokens"):
        generate(model, IDS, scheduler=WINOScheduler(), max_new_tokens=8)
