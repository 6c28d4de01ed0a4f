"""Verdicts on grammar: asked once, in parallel, kept whatever fails; and the real LanguageTool against golden facts."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import golden_files, read_lines


@pytest.fixture
def grammar(part, monkeypatch):
    client = part("languagetool_client")
    monkeypatch.setattr(client, "PAUSES_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 2.0)
    return part("grammar")


@pytest.fixture
def checker(grammar, loopback):
    return grammar.GrammarChecker(loopback.url, "all")


def test_findings_keep_the_order_of_the_texts(checker):
    texts = [f"Text {number}: {'He go' if number % 3 == 0 else 'He sings'}." for number in range(40)]
    assert checker.findings(texts) == [("HE_VERB_AGR",) if number % 3 == 0 else () for number in range(40)]
    assert checker.verdicts(texts) == [number % 3 != 0 for number in range(40)]


def test_a_text_is_stripped_and_asked_about_once(checker, loopback):
    assert checker.verdicts(["He go.", " He go.\n", "He go."]) == [False] * 3
    assert checker.verdicts(["He go."]) == [False]
    assert loopback.log == [("en-US", "He go.")]


def test_a_blank_text_is_not_grammatical_and_nobody_is_asked(checker, loopback):
    assert checker.verdicts(["", " \n\t"]) == [False, False]
    assert loopback.log == []


def test_texts_are_asked_about_at_the_same_time(checker, loopback):
    loopback.slow = {"slow": 0.3}
    start = time.monotonic()
    checker.findings([f"A slow text, number {number}." for number in range(4)])
    assert time.monotonic() - start < 0.9


def test_long_texts_are_checked_in_chunks_until_one_is_wrong(checker, loopback):
    clean = "The lamp is lit by the door. " * 100
    assert checker.verdicts([clean + clean + "He go. " + clean]) == [False]
    assert checker.verdicts([clean]) == [True]
    assert max(len(text) for _, text in loopback.log) <= 2_000
    assert len(loopback.log) < 8


def test_a_failure_names_the_text_and_what_is_known_is_kept(checker, part, loopback):
    texts = [f"Text {number}." for number in range(5)]
    loopback.rules = {}
    checker.verdicts(texts[:2])
    loopback.trouble = [500] * 3
    with pytest.raises(
        part("unavailable").UnavailableError, match=r"predictions\[2\] could not be checked: .*in 3 attempts"
    ):
        checker.verdicts(texts[:3])
    assert checker.verdicts(texts[:3]) == [True] * 3
    asked = [text for _, text in loopback.log]
    assert [asked.count(text) for text in texts] == [1, 1, 4, 0, 0]


def test_texts_that_were_checked_when_another_failed_are_not_asked_again(grammar, part, loopback, monkeypatch):
    checker = grammar.GrammarChecker(loopback.url, "all")
    real = grammar.check

    def failing(server, text, disabled):
        if text == "Poison.":
            time.sleep(0.2)
            raise part("unavailable").UnavailableError("it broke")
        return real(server, text, disabled)

    monkeypatch.setattr(grammar, "check", failing)
    with pytest.raises(
        part("unavailable").UnavailableError, match=r"predictions\[1\] could not be checked: it broke \(2 of 3"
    ):
        checker.verdicts(["One.", "Poison.", "Two."])
    monkeypatch.setattr(grammar, "check", real)
    assert checker.verdicts(["One.", "Poison.", "Two."]) == [True] * 3
    assert sorted(text for _, text in loopback.log) == ["One.", "Poison.", "Two."]


def test_signature_names_version_language_and_rules(grammar, checker, loopback):
    checker.prepare()
    assert checker.signature == "LanguageTool 0.0, en-US, all rules"
    other = grammar.GrammarChecker(loopback.url, "no_spelling")
    assert other.verdicts(["In teh morning."]) == [True]
    assert other.signature == "LanguageTool 0.0, en-US, all rules but MORFOLOGIK_RULE_EN_US"


def test_the_oldest_are_forgotten_when_there_are_too_many(grammar, checker, loopback, monkeypatch):
    monkeypatch.setattr(grammar, "CACHE_SIZE", 2)
    for text in ("One.", "Two.", "Three.", "Three.", "One."):
        checker.verdicts([text])
    assert [text for _, text in loopback.log] == ["One.", "Two.", "Three.", "One."]


def test_address_is_the_one_given_or_that_of_the_environment(grammar, monkeypatch):
    assert grammar.server_address(None) is None
    monkeypatch.setenv("PARALLELBENCH_LANGUAGETOOL_URL", " http://a:1 ")
    assert grammar.server_address(None) == "http://a:1"
    assert grammar.server_address("http://b:2") == "http://b:2"
    with pytest.raises(ValueError, match="grammar_url must be an address"):
        grammar.server_address(8081)


@pytest.mark.parametrize("rules", ["none", None, ["all"]])
def test_unknown_rules_are_named(grammar, rules):
    with pytest.raises(ValueError, match=r"grammar_rules .*'all' or 'no_spelling'"):
        grammar.check_rules(rules)


@pytest.mark.slow
@pytest.mark.parametrize("path", golden_files("grammar.jsonl"))
def test_real_checker_agrees_with_the_golden_facts(part, languagetool, path):
    cases = read_lines(path)
    checker = part("grammar").grammar_checker(None, "all")
    found = checker.findings([case["text"] for case in cases])
    differing = [
        (case, rule_ids) for case, rule_ids in zip(cases, found, strict=True) if tuple(case["rule_ids"]) != rule_ids
    ]
    assert differing == []
    verdicts = checker.verdicts([case["text"] for case in cases])
    assert verdicts == [case["rule_ids"] == [] for case in cases]
    assert checker.signature == "LanguageTool 6.8, en-US, all rules"


@pytest.mark.slow
def test_without_the_speller_names_are_right_and_slips_stay_wrong(metric, languagetool):
    texts = ["Mr. Qwzrty left.", "She has a apple."]
    assert [row["grammar"] for row in metric.check_texts(texts, parses=False)] == [0.0, 0.0]
    rows = metric.check_texts(texts, grammar_rules="no_spelling", parses=False)
    assert [row["rule_ids"] for row in rows] == [[], ["EN_A_VS_AN"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    ['"', "(", "a,b,", "\x00", "🙂", "the ", "a", "\n", "."],
    ids=ascii,
)
def test_real_checker_takes_a_megabyte_of_anything_in_bounded_time(metric, languagetool, unit):
    start = time.monotonic()
    metric.check_texts(["A " + unit * (2**20 // len(unit.encode()))], parses=False)
    assert time.monotonic() - start < 60


@pytest.mark.slow
@given(text=st.text(max_size=80) | st.text(alphabet="[]()\"'`\x00\u202e🙂 .a\n", max_size=80))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_real_checker_takes_any_text(metric, languagetool, text):
    (found,) = metric.check_texts([text], parses=False)
    assert found["grammar"] in (0.0, 1.0)
    assert found["grammar"] == 0.0 or not found["rule_ids"]
