"""Looks at the model: what a scheduler wants of them, and what a view that lacks it leads to."""

import pytest
import torch
from scheduler_cases import FACTORIES
from torch import Tensor

from samplers import (
    ConfidenceScheduler,
    CreditScheduler,
    EditingScheduler,
    KLASSScheduler,
    ModelView,
    PositionCalibratedScheduler,
    ReMDMScheduler,
    SaberScheduler,
    UnmaskingScheduler,
    Wants,
    WINOScheduler,
)
from samplers.schedulers.proposals import propose
from samplers.schedulers.views import JUST_LOGITS, PROPOSAL_ALONE

LOGITS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
RECORD = propose(LOGITS, mask_token_id=4).record()


@pytest.mark.parametrize(
    ("wanted", "layers"),
    [(0.3, (7, 8, 9)), (0.31, (6, 7, 8, 9)), (1.0, tuple(range(10))), (0.01, (9,)), ((-1, 0, 9), (0, 9)), ((), ())],
)
def test_layers_are_indices_or_the_last_share(wanted: float | tuple[int, ...], layers: tuple[int, ...]) -> None:
    assert Wants(attentions=wanted).layers(10) == layers


@pytest.mark.parametrize("wanted", [(10,), (-11,), 1.5, -0.1])
def test_layers_that_are_not_there_are_refused(wanted: float | tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="attentions="):
        Wants(attentions=wanted).layers(10)


@pytest.mark.parametrize(
    ("view", "wants", "missing"),
    [
        (ModelView(LOGITS), Wants(shadow_logits=True), "shadow_logits"),
        (ModelView(LOGITS), Wants(attentions=(0,), shadow_logits=True), "shadow_logits and no attentions"),
        (ModelView(None, proposal=RECORD), JUST_LOGITS, "logits"),
        (ModelView(None), PROPOSAL_ALONE, "logits"),
    ],
)
def test_a_view_without_what_is_wanted_names_its_giver(view: ModelView, wants: Wants, missing: str) -> None:
    with pytest.raises(ValueError, match=f"list gave no {missing}, which"):
        view.checked(wants, [])


def test_a_whole_view_passes() -> None:
    for view, wants in ((ModelView(LOGITS), PROPOSAL_ALONE), (ModelView(None, proposal=RECORD), PROPOSAL_ALONE)):
        assert view.checked(wants, None) is view


def test_a_scheduler_sees_plain_logits_where_there_is_nothing_else() -> None:
    assert ModelView(LOGITS).model_output is LOGITS
    for view in (ModelView(LOGITS, LOGITS), ModelView(LOGITS, proposal=RECORD), ModelView(None, proposal=RECORD)):
        assert view.model_output is view


def test_methods_that_read_more_than_a_greedy_proposal_want_logits() -> None:
    reading = {name for name, factory in FACTORIES.items() if factory().wants.logits}
    assert {name.split("_")[0] for name in reading} == {
        *("credit", "editing", "klass", "saber", "wino", "remdm", "verified", "lopa")
    }
    # Its variants draw at temperature 1.
    drawing = {"remdm_cap", "remdm_rescale", "remdm_conf", "remdm_loop"}
    assert {name for name in reading if name.startswith("remdm")} == drawing
    assert WINOScheduler().wants == Wants(shadow_logits=True)


def test_what_is_wanted_depends_on_the_config() -> None:
    assert not ConfidenceScheduler(temperature=0.0).wants.logits
    assert ConfidenceScheduler(temperature=0.5).wants.logits
    assert ConfidenceScheduler(score_proposal=True, top_p=0.9).wants.logits
    assert not ReMDMScheduler(k=1).wants.logits


def test_a_class_that_decides_otherwise_reads_logits_unless_it_says_so() -> None:
    class Renamed(ConfidenceScheduler):
        score_name = "margin"

    class Other(ConfidenceScheduler):
        def select(self, step: object, scores: Tensor) -> Tensor:
            raise NotImplementedError

    class Declared(Other):
        _reads = PROPOSAL_ALONE

    wanted = [scheduler().wants.logits for scheduler in (Renamed, Other, Declared, UnmaskingScheduler)]
    assert wanted == [False, True, False, True]


@pytest.mark.parametrize(
    "scheduler",
    [CreditScheduler(), EditingScheduler(), KLASSScheduler(), SaberScheduler(), ConfidenceScheduler(temperature=1.0)],
)
def test_a_recorded_proposal_is_refused_by_who_reads_more(scheduler: UnmaskingScheduler) -> None:
    with pytest.raises(ValueError, match=f"{type(scheduler).__name__} .*reads the logits"):
        scheduler.step(ModelView(None, proposal=RECORD), 0, torch.full((2, 3), 4), mask_token_id=4)


def test_a_recorded_proposal_is_not_drawn_from() -> None:
    with pytest.raises(ValueError, match=r"temperature 1\.0 reads the logits"):
        ConfidenceScheduler().step(
            ModelView(None, proposal=RECORD), 0, torch.full((2, 3), 4), mask_token_id=4, temperature=1.0
        )


def test_the_size_of_the_vocabulary_is_recorded() -> None:
    sample = torch.full((2, 3), 4)
    for view in (LOGITS, ModelView(None, proposal=RECORD)):
        output = PositionCalibratedScheduler(k=1).step(view, 0, sample, mask_token_id=4)
        assert output.transfer_index.sum(dim=1).tolist() == [1, 1]


def test_views_of_other_shapes_are_refused() -> None:
    sample = torch.full((2, 3), 4)
    with pytest.raises(ValueError, match=r"shadow_output has shape \(2, 2, 5\)"):
        WINOScheduler().step(ModelView(LOGITS, LOGITS[:, :2]), 0, sample, mask_token_id=4)
