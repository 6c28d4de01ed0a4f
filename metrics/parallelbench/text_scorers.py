"""Scorers for text: quality of the text itself, to be multiplied by the verdict on its grammar."""

from collections.abc import Mapping, Sequence
from typing import Any

from .scorer import SOME_STRINGS, STRING, Scorer
from .similarity import bertscore, bleu, bleu_signature, rouge, rouge_signature


def score_words_to_sentence(prediction: str, words: list[str]) -> dict[str, float]:
    """Right when every word is a substring, case included; the grammar is judged apart."""
    inclusion = float(all(word in prediction for word in words))
    return {"inclusion": inclusion, "score": inclusion}


def score_summary(prediction: str, summary: str) -> dict[str, float]:
    """ROUGE against the summary, with stemming; ROUGE-L is the score. The grammar is judged apart."""
    scores = rouge(prediction, summary)
    return {**scores, "score": scores["rouge_l"]}


def score_paraphrase(prediction: str, text: str) -> dict[str, float]:
    """(1 − BLEU) × F1 of BERTScore: other words for the same; 0 where nothing is said. The grammar is judged apart."""
    return score_paraphrases([prediction], [{"text": text}])[0]


def score_paraphrases(predictions: Sequence[str], values: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """`score_paraphrase` of many predictions, whose texts go through the encoder of BERTScore in batches."""
    texts = [value["text"] for value in values]
    samples: list[dict[str, float]] = []
    for prediction, text, f1 in zip(predictions, texts, bertscore().f1(predictions, texts), strict=True):
        overlap = bleu(prediction, text)
        samples.append({"bleu": overlap, "bertscore": f1, "score": (1.0 - overlap) * f1})
    return samples


def prepare_summary() -> dict[str, str]:
    """Load ROUGE; name → signature."""
    return {"rouge": rouge_signature()}


def prepare_paraphrase() -> dict[str, str]:
    """Load BLEU and the encoder of BERTScore; name → signature."""
    return {"bleu": bleu_signature(), "bertscore": bertscore().signature}


def apply_grammar(
    scores: dict[str, float], prediction: str, grammatical: bool | None, suffix: str = ""
) -> dict[str, float]:
    """Multiply the `score` of a text by its grammar (0 or 1), which is also its headline.

    A blank text is never grammatical. Without a verdict `grammar`, `score` and `headline` are unknown and left out.

    Args:
        scores: what a scorer that is gated by grammar returned.
        prediction: the text.
        grammatical: whether a grammar checker finds nothing wrong with it; None where it was not checked.
        suffix: ends the names of `grammar`, `score` and `headline`, where the checker did not apply all its rules.
    """
    known = {name: value for name, value in scores.items() if name != "score"}
    if grammatical is None:
        return known
    grammar = float(grammatical and bool(prediction.strip()))
    verdict = {"grammar": grammar, "score": scores["score"] * grammar, "headline": grammar}
    return {**known, **{name + suffix: value for name, value in verdict.items()}}


TEXT_SCORERS = {
    "words_to_sentence": Scorer(score_words_to_sentence, {"words": SOME_STRINGS}, gated_by_grammar=True),
    "summary": Scorer(score_summary, {"summary": STRING}, gated_by_grammar=True, prepare=prepare_summary),
    "paraphrase": Scorer(
        score_paraphrase,
        {"text": STRING},
        gated_by_grammar=True,
        prepare=prepare_paraphrase,
        score_many=score_paraphrases,
    ),
}
