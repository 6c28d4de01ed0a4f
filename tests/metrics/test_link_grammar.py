"""Parses with Link Grammar: verdicts, texts over which the library ends its process, and where it is looked for."""

import importlib.util
import logging
import os
import signal
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def parser(part, link_grammar):
    return part("link_grammar").find_link_grammar(True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The river met the quiet lantern near the old stone bridge.", True),
        ("Is this it?", True),
        ("The river met the the quiet lantern.", False),
        ("The met river the quiet lantern.", False),
        ("He go to school.", False),
        ("He goes to school. She go to work.", False),
        ("He goes to school. She goes to work.", True),
        ("", False),
        (" \n ", False),
    ],
)
def test_a_text_parses_when_all_its_sentences_do(parser, text, expected):
    assert parser.verdicts([text]) == [expected]


def test_many_parses_do_not_hide_the_valid_ones(parser):
    # With a limit of 1 a random one of thousands of linkages is looked at, which is often invalid.
    text = "The old man saw the boy with the telescope in the park near the river on the hill by the road."
    assert parser.verdicts([text]) == [True]


def test_signature_names_version_and_limit(parser):
    assert parser.signature.startswith("Link Grammar 5.")
    assert parser.signature.endswith(", en, linkage_limit=1000")


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "\ufffd",
        "\u202e",
        "🙂",
        "(" * 3_000,
        "the " * 5_000,
        "a" * 2**20,
        "a. B" * 2**18,
        "\x01\x02",
        "'" * 9_999,
    ],
    ids=lambda text: ascii(text[:4]),
)
def test_any_text_gets_a_verdict_in_time(parser, text):
    start = time.monotonic()
    (verdict,) = parser.verdicts([text])
    assert verdict in (True, False)
    assert time.monotonic() - start < 30


@given(text=st.text(max_size=40) | st.text(alphabet="\x00\u202e()\"'.a B\n-", max_size=40))
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gets_a_verdict(parser, text):
    assert parser.verdicts([text]) in ([True], [False])


def test_a_process_that_died_is_replaced(part, parser, monkeypatch):
    parser._worker._process.kill()
    parser._worker._process.wait()
    monkeypatch.setattr(parser, "_cache", {})
    assert parser.verdicts(["He goes home."]) == [False]  # over which it died
    assert parser.verdicts(["She goes home."]) == [True]


def test_a_process_that_does_not_answer_is_replaced(part, parser, monkeypatch):
    monkeypatch.setattr(part("link_grammar"), "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(parser, "_cache", {})
    parser.verdicts(["It goes home."])  # so that there is a process to stop
    os.kill(parser._worker._process.pid, signal.SIGSTOP)
    assert parser.verdicts(["He goes home."]) == [False]
    monkeypatch.undo()
    assert parser.verdicts(["He goes to work."]) == [True]


def test_a_folder_without_the_package_is_named(part, monkeypatch, tmp_path):
    monkeypatch.setenv("PARALLELBENCH_LINKGRAMMAR_PATH", str(tmp_path))
    with pytest.raises(part("unavailable").UnavailableError, match="python3-link-grammar") as caught:
        part("link_grammar").find_link_grammar(None)
    assert str(tmp_path) in str(caught.value)


def test_a_package_that_cannot_be_imported_says_why(part, monkeypatch, tmp_path):
    (tmp_path / "linkgrammar").mkdir()
    (tmp_path / "linkgrammar" / "__init__.py").write_text("raise ImportError('built for another Python')")
    monkeypatch.setenv("PARALLELBENCH_LINKGRAMMAR_PATH", str(tmp_path))
    with pytest.raises(part("unavailable").UnavailableError, match="built for another Python"):
        part("link_grammar").find_link_grammar(None)


def test_where_it_is_not_installed_a_hint_is_given_once(part, monkeypatch, caplog):
    module = part("link_grammar")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    module.give_hint.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert module.find_link_grammar(None) is None
        assert module.find_link_grammar(None) is None
    assert len(caplog.records) == 1
    assert "apt-get install python3-link-grammar" in caplog.text
    assert "PARALLELBENCH_LINKGRAMMAR_PATH" in caplog.text
    with pytest.raises(part("unavailable").UnavailableError, match="python3-link-grammar"):
        module.find_link_grammar(True)


def test_it_can_be_done_without(part, monkeypatch):
    monkeypatch.setenv("PARALLELBENCH_LINKGRAMMAR_PATH", "/nowhere")
    assert part("link_grammar").find_link_grammar(False) is None
