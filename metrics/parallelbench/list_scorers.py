"""Scorers for the waiting-line tasks: a list read leniently gives `score`, read strictly `score_strict`."""

from collections.abc import Callable

from .reading import read_list, read_list_strictly
from .scorer import POSITIVE_INTEGER, STRING, STRINGS, Scorer


def score_both_readings(prediction: str, is_right: Callable[[list[str]], bool]) -> dict[str, float]:
    """Judge the lenient and the strict reading of a list; `score_strict` is never above `score`."""
    if not is_right(read_list(prediction)):
        return {"score": 0.0, "score_strict": 0.0}
    strict = read_list_strictly(prediction)
    return {"score": 1.0, "score_strict": float(strict is not None and is_right(strict))}


def score_list_match(prediction: str, answer: str) -> dict[str, float]:
    """Right when the list equals the answer, which is read the same way as the prediction.

    An answer that is not in strict form itself is read leniently for both scores.
    """
    expected = read_list(answer)
    if read_list(prediction) != expected:
        return {"score": 0.0, "score_strict": 0.0}
    strict = read_list_strictly(prediction)
    if strict is None:
        return {"score": 1.0, "score_strict": 0.0}
    strictly_expected = read_list_strictly(answer)
    return {
        "score": 1.0,
        "score_strict": float(strict == (expected if strictly_expected is None else strictly_expected)),
    }


def is_shuffled(items: list[str], line: list[str]) -> bool:
    """Tell whether `items` is a permutation of `line` and not `line` itself."""
    return len(items) == len(line) and items != line and sorted(items) == sorted(line)


def is_inserted(items: list[str], line: list[str], word: str) -> bool:
    """Tell whether leaving one `word` out of `items` gives `line`."""
    if len(items) != len(line) + 1:
        return False
    # Wherever `word` went in, it also stands at the first difference: the items before it there are `word` too.
    first = next((i for i, item in enumerate(line) if items[i] != item), len(line))
    return items[first] == word and items[first + 1 :] == line[first:]


def is_removed(items: list[str], line: list[str], count: int) -> bool:
    """Tell whether `items` is `line` in order without `count` items, no two of them alike and none of them left."""
    if len(items) != len(line) - count:
        return False
    left = set(items)
    gone = set(line) - left
    return len(gone) == count and items == [item for item in line if item in left]


def is_replaced(items: list[str], line: list[str], word: str) -> bool:
    """Tell whether `items` is `line` with `word` put at the place where it first stands in `items`."""
    if len(items) != len(line) or word not in items:
        return False
    place = items.index(word)
    return items[:place] == line[:place] and items[place + 1 :] == line[place + 1 :]


def score_list_shuffle(prediction: str, input: list[str]) -> dict[str, float]:
    """Right when the list is a permutation of the input, but not the input itself."""
    return score_both_readings(prediction, lambda items: is_shuffled(items, input))


def score_list_insert(prediction: str, input: list[str], word: str) -> dict[str, float]:
    """Right when the list is the input with `word` put in anywhere."""
    return score_both_readings(prediction, lambda items: is_inserted(items, input, word))


def score_list_remove(prediction: str, input: list[str], count: int = 1) -> dict[str, float]:
    """Right when the list is the input, in order, without `count` of its items."""
    return score_both_readings(prediction, lambda items: is_removed(items, input, count))


def score_list_replace(prediction: str, input: list[str], word: str) -> dict[str, float]:
    """Right when the list is the input with any one item replaced by `word`."""
    return score_both_readings(prediction, lambda items: is_replaced(items, input, word))


LIST_SCORERS = {
    "list_match": Scorer(score_list_match, {"answer": STRING}),
    "list_shuffle": Scorer(score_list_shuffle, {"input": STRINGS}),
    "list_insert": Scorer(score_list_insert, {"input": STRINGS, "word": STRING}),
    "list_remove": Scorer(score_list_remove, {"input": STRINGS, "count": POSITIVE_INTEGER}, {"count": 1}),
    "list_replace": Scorer(score_list_replace, {"input": STRINGS, "word": STRING}),
}
