"""The damage study: what it measures, with stand-ins for the checkers, and its command with the real ones."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from loopback_languagetool import loopback_languagetool
from support import FULL

from benchmark.cli import main
from benchmark.engine.scoring import load_metric
from benchmark.studies.damage_study import CLEAN, study, study_table

TEXTS = ["The old man has a lamp by the door.", "An angry guest was here before noon."]


@pytest.fixture(scope="module")
def metric() -> Any:
    return load_metric()


def test_what_checkers_flag_and_likeness_are_measured(metric: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARALLELBENCH_LINKGRAMMAR_PATH", "")
    with loopback_languagetool({"have": "AGREEMENT", "An lamp": "X", "an lamp": "MORFOLOGIK_RULE_EN_US"}) as server:
        found, signatures = study(metric, TEXTS, grammar_url=server.url)
    seen = {row.damage: row for row in found}
    assert seen[CLEAN].texts == 2
    assert seen[CLEAN].flagged["grammar"] == 0.0
    assert seen[CLEAN].similarity == {"ROUGE-L": 100.0}
    assert seen["wrong agreement"].flagged["grammar"] == 50.0
    assert seen["wrong article"].flagged == seen["wrong article"].flagged | {
        "grammar": 50.0,
        "no speller": 0.0,
    }
    assert 90 < seen["word doubled"].similarity["ROUGE-L"] < 100
    assert signatures["grammar"] == "LanguageTool 0.0, en-US, all rules"
    table = study_table(found)
    assert table.row_count == len(found)


def test_command_writes_its_numbers(tmp_path: Path) -> None:
    with loopback_languagetool({" is ": "SOMETHING"}) as server:
        arguments = ["damage", "--texts", "summaries", "--samples", "5", "--grammar-url", server.url]
        result = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "damage.json")])
    assert result.exit_code == 0, result.output
    assert "neighbours swapped " in result.output
    assert "…" not in result.output
    document = json.loads((tmp_path / "damage.json").read_text())
    assert document["damages"][0]["texts"] == 5
    assert [path.name for path in tmp_path.iterdir()] == ["damage.json"]


def test_without_a_server_the_command_says_so_in_one_line() -> None:
    result = CliRunner().invoke(main, ["damage", "--samples", "1", "--grammar-url", "nowhere"])
    assert result.exit_code == 2
    assert "grammar_url or PARALLELBENCH_LANGUAGETOOL_URL must be an address" in result.output


@pytest.mark.slow
def test_real_checker_sees_doubled_words_best(metric: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(os.environ.get("LTP_PATH", FULL.parent / "languagetool"))
    if not (folder / "LanguageTool-6.8" / "languagetool-server.jar").exists():
        pytest.skip("LanguageTool 6.8 is not here; LTP_PATH names the folder that holds it")
    monkeypatch.setenv("LTP_PATH", str(folder.resolve()))
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx384m -XX:+UseSerialGC")
    from benchmark.studies.damage_study import shipped_texts

    found, _ = study(metric, shipped_texts(["paraphrases"], 25))
    seen = {row.damage: row.flagged["grammar"] for row in found}
    assert seen[CLEAN] == 0.0
    assert seen["word doubled"] > 80
    assert seen["word doubled"] > seen["words scrambled"] > seen["neighbours swapped"]
