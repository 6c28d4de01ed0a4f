"""Tests of the LanguageTool client: what it asks, what it reads, and one line where nobody answers rightly."""

import pytest
from loopback_languagetool import loopback_languagetool, loopback_stranger

from hub_dataset.grammar import URL_VARIABLE, GrammarChecker, grammar_checker
from hub_dataset.unavailable import UnavailableError


@pytest.fixture
def server():
    with loopback_languagetool({"He go": "HE_VERB_AGR", "teh": "SPELLING"}) as running:
        yield running


@pytest.mark.parametrize("ending", ["", "/"])
def test_rule_ids_come_in_the_order_of_the_text(server, ending):
    checker = GrammarChecker(server.url + ending)
    assert checker.rule_ids("In teh morning: He go & sing, 100% über?") == ["SPELLING", "HE_VERB_AGR"]
    assert checker.rule_ids("He sings.") == []
    assert server.log[0] == ("en-US", "In teh morning: He go & sing, 100% über?")


def test_texts_are_accepted_until_the_first_that_is_wrong(server):
    checker = GrammarChecker(server.url)
    assert checker.accepts(["One.", "Two."])
    assert not checker.accepts(["One.", "He go.", "Two."])
    assert [text for _, text in server.log] == ["One.", "Two.", "One.", "He go."]


def test_findings_keep_the_order_of_the_texts(server):
    texts = [f"Text {number} {'teh' if number % 3 == 0 else 'the'}." for number in range(20)]
    assert GrammarChecker(server.url).findings(texts) == [
        ["SPELLING"] if number % 3 == 0 else [] for number in range(20)
    ]


def test_server_is_the_one_that_the_environment_names(monkeypatch, server):
    monkeypatch.setenv(URL_VARIABLE, f" {server.url} ")
    assert grammar_checker() == GrammarChecker(server.url)


def test_named_server_that_is_not_there_is_found_at_once(monkeypatch):
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="no LanguageTool server answers"):
        grammar_checker()


@pytest.mark.parametrize("value", [None, "", " "])
def test_without_a_named_server_the_error_says_what_to_set(monkeypatch, value):
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(URL_VARIABLE, value)
    with pytest.raises(UnavailableError, match=f"LanguageTool .*{URL_VARIABLE}"):
        grammar_checker()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9", "refused"),
        ("localhost:8081", "unknown url type"),
        ("nonsense", "unknown url type"),
        ("http://", "no host given"),
    ],
)
def test_server_that_does_not_answer_is_one_line(url, reason):
    with pytest.raises(UnavailableError, match=reason) as caught:
        GrammarChecker(url).rule_ids("Text.")
    assert f"no LanguageTool server answers at {url}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html></html>", b"[]", b"{}", b'{"matches": [{}]}', b"\xff"])
def test_server_that_is_not_languagetool_is_one_line(body):
    with loopback_stranger(body) as address:
        with pytest.raises(UnavailableError, match="no LanguageTool server answers") as caught:
            GrammarChecker(address).rule_ids("Text.")
        assert "\n" not in str(caught.value)


def test_wrong_address_on_a_server_is_one_line(server):
    with pytest.raises(UnavailableError, match="404"):
        GrammarChecker(f"{server.url}/elsewhere").rule_ids("Text.")
