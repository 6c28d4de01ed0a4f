"""Names of schedulers: registering one's own, entry points of other packages, and where a class is."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samplers import (
    ConfidenceScheduler,
    EntropyScheduler,
    built_in_scheduler_names,
    protocol_scheduler_names,
    register_scheduler,
    scheduler_class,
    scheduler_names,
)
from samplers.schedulers import registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def test_a_registered_class_is_found_by_its_name_and_listed_last() -> None:
    @register_scheduler("lucky")
    class LuckyScheduler(ConfidenceScheduler):
        pass

    assert LuckyScheduler.__name__ == "LuckyScheduler"
    assert scheduler_class("lucky") is LuckyScheduler
    assert scheduler_names() == [*built_in_scheduler_names(), "lucky"]
    assert "lucky" not in protocol_scheduler_names()
    assert scheduler_class("lucky")(k=3).config.k == 3


def test_a_taken_name_is_refused_and_the_same_class_again_is_not() -> None:
    for name in ("entropy", "eb"):
        with pytest.raises(ValueError, match=f"{name!r} is taken by .*Scheduler"):
            register_scheduler(name)(EntropyScheduler)

    def define() -> Any:
        @register_scheduler("lucky")
        class LuckyScheduler(ConfidenceScheduler):
            pass

        return LuckyScheduler

    define()
    # As a notebook cell that is run again.
    again = define()
    assert scheduler_class("lucky") is again
    with pytest.raises(ValueError, match="scheduler name 'lucky' is taken"):
        register_scheduler("lucky")(EntropyScheduler)


@pytest.mark.parametrize("name", ["", "Lucky", "my-method", "a.b", "k=4", 7])
def test_names_that_no_command_line_could_say_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="should be an identifier in lower case"):
        register_scheduler(name)


@pytest.mark.parametrize("thing", [int, ConfidenceScheduler(), None])
def test_only_schedulers_can_be_registered(thing: Any) -> None:
    with pytest.raises(TypeError, match="UnmaskingScheduler"):
        register_scheduler("lucky")(thing)


def test_a_class_is_found_where_it_stands() -> None:
    assert scheduler_class("samplers:EntropyScheduler") is EntropyScheduler
    assert scheduler_class("samplers.schedulers.scheduling_entropy:EntropyScheduler") is EntropyScheduler
    with pytest.raises(ValueError, match=r"nowhere:Own: .*'nowhere'"):
        scheduler_class("nowhere:Own")
    with pytest.raises(ValueError, match=r"samplers:Own: .*no attribute 'Own'"):
        scheduler_class("samplers:Own")
    with pytest.raises(TypeError, match=r"samplers:generate: .*UnmaskingScheduler"):
        scheduler_class("samplers:generate")
    for broken in (":Own", "samplers:"):
        with pytest.raises(ValueError, match="cannot import scheduler"):
            scheduler_class(broken)


PLUGIN = """
from samplers import MarginScheduler


class PluginScheduler(MarginScheduler):
    pass
"""
METADATA = "Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n"
ENTRY_POINTS = "[parallelbench.schedulers]\nplugged = plugin_methods:PluginScheduler\nbroken = plugin_methods:Missing\n"


def test_an_installed_package_brings_schedulers_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugin_methods.py").write_text(PLUGIN)
    (tmp_path / "plugin-1.0.dist-info").mkdir()
    (tmp_path / "plugin-1.0.dist-info" / "METADATA").write_text(METADATA)
    (tmp_path / "plugin-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert scheduler_names() == [*built_in_scheduler_names(), "plugged", "broken"]
    assert scheduler_class("plugged").__name__ == "PluginScheduler"
    with pytest.raises(ValueError, match=r"broken \(plugin_methods:Missing\)"):
        scheduler_class("broken")
    # A broken plugin is nobody else's trouble.
    assert "PluginScheduler" not in [cls.__name__ for cls in ConfidenceScheduler().compatibles]


def test_names_are_listed_without_importing_anything_heavy() -> None:
    code = "import sys, samplers; samplers.scheduler_names(); samplers.protocol_scheduler_names()"
    subprocess.run([sys.executable, "-c", code + "; assert 'torch' not in sys.modules"], check=True)
