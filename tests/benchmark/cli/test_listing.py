"""What can be named is listed, with what a run takes of it."""

from pathlib import Path

import pytest

from benchmark.cli.listing import show_lists
from benchmark.cli.run import RunOptions, run_benchmark
from benchmark.models import IDEAL, reference
from benchmark.store.runs import RunStore

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_the_lists_name_everything_that_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    import hub_dataset
    from benchmark.protocol.grids import grid_names
    from samplers import scheduler_names

    def words() -> set[str]:
        return set(capsys.readouterr().out.replace(",", " ").split())

    show_lists(None)
    everything = words()
    named = {
        "tasks": hub_dataset.config_names(),
        "schedulers": scheduler_names(),
        "grids": grid_names(),
        "models": [IDEAL, reference.NAME],
    }
    for what, names in named.items():
        assert {what, *names} <= everything
        show_lists(what)
        alone = words()
        assert set(names) <= alone
        if what != "grids":
            assert not alone & {"tasks", "schedulers", "models"} - {what}
    assert {"k", "remask_steps=1", "threshold=0.9", "num_inference_steps"} <= everything


@pytest.mark.skipif(not reference.is_here(), reason="the weights of the reference model are not here")
@pytest.mark.usefixtures("without_report")
def test_list_and_settings_agree_on_new_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    show_lists("tasks")
    listed = " ".join(capsys.readouterr().out.split())
    models, tasks = ("ideal", "reference"), ("waiting_line_copy",)
    run_benchmark(RunOptions(models, tasks, schedulers=("random:k=64",), samples=1, output=Path("r")))
    of_run = RunStore("r").read_settings()["new_tokens"]
    assert f"waiting_line_copy 100 {of_run['ideal']['waiting_line_copy']} yes" in listed
    assert f"the reference model at least {of_run['reference']['waiting_line_copy']}." in listed
