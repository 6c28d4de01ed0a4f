"""Scorers for text: quality of the text itself, to be multiplied by the verdict on its grammar."""

from .scorer import SOME_STRINGS, Scorer


def score_words_to_sentence(prediction: str, words: list[str]) -> dict[str, float]:
    """Right when every word is a substring, case included; the grammar is judged apart."""
    inclusion = float(all(word in prediction for word in words))
    return {"inclusion": inclusion, "score": inclusion}


def apply_grammar(scores: dict[str, float], prediction: str, grammatical: bool | None) -> dict[str, float]:
    """Multiply the `score` of a text by its grammar (0 or 1), which is also its headline.

    A blank text is never grammatical. Without a verdict `grammar`, `score` and `headline` are unknown and left out.

    Args:
        scores: what a scorer that is gated by grammar returned.
        prediction: the text.
        grammatical: whether a grammar checker finds nothing wrong with it; None where nobody asked one.
    """
    known = {name: value for name, value in scores.items() if name != "score"}
    if grammatical is None:
        return known
    grammar = float(grammatical and bool(prediction.strip()))
    return {**known, "grammar": grammar, "score": scores["score"] * grammar, "headline": grammar}


TEXT_SCORERS = {
    "words_to_sentence": Scorer(score_words_to_sentence, {"words": SOME_STRINGS}, gated_by_grammar=True),
}
