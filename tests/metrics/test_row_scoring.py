"""Scoring rows: batches keep the order of the rows, and each part is loaded once."""

import pytest


@pytest.fixture
def rows(part):
    return part("row_scoring")


def test_rows_keep_their_order_whether_scored_alone_or_in_batches(rows, part, monkeypatch):
    def shout(text, **_):
        return {"score": float(text.isupper())}

    Scorer, Reference = part("scorer").Scorer, part("references").Reference
    calls = []

    def shout_all(texts, values):
        calls.append(list(zip(texts, [value["number"] for value in values], strict=True)))
        return [shout(text) for text in texts]

    monkeypatch.setitem(rows.SCORERS, "alone", Scorer(shout, {}))
    monkeypatch.setitem(rows.SCORERS, "batch", Scorer(shout, {}, gated_by_grammar=True, score_many=shout_all))
    references = [Reference(name, None, {"number": i}) for i, name in enumerate(["batch", "alone", "batch", "alone"])]
    found = rows.score_rows(["A", "b", "c", "D"], references)
    assert found == [{"score": 1.0}, {"score": 0.0, "headline": 0.0}, {"score": 0.0}, {"score": 1.0, "headline": 1.0}]
    assert calls == [[("A", 0), ("c", 2)]]


def test_parts_are_loaded_once_per_scorer(rows, part, monkeypatch):
    calls = []

    def prepare():
        calls.append(1)
        return {"part": "1.0"}

    Scorer, Reference = part("scorer").Scorer, part("references").Reference
    monkeypatch.setitem(rows.SCORERS, "heavy", Scorer(lambda text: {"score": 1.0}, {}, prepare=prepare))
    references = [Reference("heavy", None, {}), Reference("list_match", None, {}), Reference("heavy", None, {})]
    assert rows.load_parts(references) == {"part": "1.0"}
    assert len(calls) == 1
    assert rows.load_parts(references[1:2]) == {}


def test_only_text_is_judged(rows):
    class Checker:
        def verdicts(self, texts):
            self.texts = texts
            return [bool(text) for text in texts]

    checker = Checker()
    assert rows.judge(["a", "b", "c"], [1], None, checker) == [False, True, False]
    assert checker.texts == ["", "b", ""]
    assert rows.judge(["a", "b"], [0], [None, True], None) == [None, True]
