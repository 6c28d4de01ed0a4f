"""Grammatical sentences without end, each with the content words that it holds."""

from __future__ import annotations

from collections.abc import Callable

from ..randomness import Stream
from .inflection import with_article
from .lexicon import read_lexicon
from .phrases import DOES, HAS, IS, PLURAL, SINGULAR, WAS, Composer, Subject, present

Pattern = Callable[[Composer], str]

# Content words that a sentence can always be found for.
MOST_WORDS = 8

_MODALS = ("should", "must", "can", "may", "might", "will", "could", "would never")
# Each as a singular and another subject says it.
_WISHES = (("wants", "want"), ("hopes", "hope"), ("plans", "plan"), ("needs", "need"), ("has", "have"))
_PAST_WISHES = ("wanted", "tried", "decided", "forgot", "began", "refused", "promised", "had")
_JUDGEMENTS = ("easy", "hard", "important", "dangerous", "difficult", "safe", "useful", "wise", "impossible")
_SOMEBODY = ("nobody", "somebody", "everyone", "one of us", "no one")


class SentenceGrammar:
    """Sentences in the words of a vocabulary (one of `sentences.VOCABULARIES`)."""

    def __init__(self, vocabulary: str) -> None:
        self._lexicon = read_lexicon(vocabulary)

    def draw(self, draw: Stream, length: int) -> tuple[str, list[str]]:
        """A sentence with at least `length` content words, and these words as they stand in it, in random order.

        No word stands in another of them. Raises ValueError for a `length` above `MOST_WORDS`.
        """
        if length > MOST_WORDS:
            raise ValueError(f"length is {length}; a generated sentence has {MOST_WORDS} content words at most")
        patterns = _SIMPLE if length <= 3 else _SIMPLE + _COMPOUND if length == 4 else _COMPOUND
        rich = 0.2 if length <= 3 else 0.45 if length <= 5 else 0.7
        while True:
            composer = Composer(draw, self._lexicon, rich)
            text = composer.pick(patterns)(composer)
            sentence = text[0].upper() + text[1:]
            if sentence[-1] not in "?!":
                sentence += "."
            words = _choose(draw, composer.words, sentence, length)
            if words:
                return sentence, words


def _choose(draw: Stream, words: list[str], sentence: str, length: int) -> list[str]:
    """`length` of the words, in random order; none where there are not so many."""
    left = list(words)
    chosen: list[str] = []
    while left and len(chosen) < length:
        place = int(draw() * len(left))
        left[place], left[-1] = left[-1], left[place]
        word = left.pop()
        # The first word of a sentence stands there with a capital letter.
        if word in sentence and not any(word in other or other in word for other in chosen):
            chosen.append(word)
    return chosen if len(chosen) == length else []


def _past(c: Composer) -> str:
    subject = c.subject()
    return f"{subject.text} {c.action('past', subject.owner)}"


def _present(c: Composer) -> str:
    subject = c.subject()
    return f"{subject.text} {c.action(present(subject.number), subject.owner)}"


def _past_simple(c: Composer) -> str:
    if c.chance(0.3):
        time = c.time("past")
        return f"{time}, {_past(c)}{_maybe_place(c)}"
    clause = _past(c)
    kind = c.draw()
    if kind < 0.35:
        return f"{clause} {c.place()}"
    return f"{clause} {c.time('past')}" if kind < 0.85 else clause


def _maybe_place(c: Composer, probability: float = 0.4) -> str:
    return f" {c.place()}" if c.chance(probability) else ""


def _habit(c: Composer) -> str:
    if c.chance(0.5):
        time = c.time("habit")
        return f"{time}, {_present(c)}{_maybe_place(c)}"
    often = c.pick(("often", "always", "never", "usually", "sometimes", "rarely"))
    subject = c.subject()
    return f"{subject.text} {often} {c.action(present(subject.number), subject.owner)}{_maybe_place(c)}"


def _future(c: Composer) -> str:
    subject = c.subject()
    if c.chance(0.5):
        return f"{subject.text} will {c.action('base', subject.owner)} {c.time('future')}"
    return f"{subject.text} {IS[subject.number]} going to {c.action('base', subject.owner)} {c.time('future')}"


def _progressive(c: Composer) -> str:
    subject = c.subject()
    now = c.pick(("", "", " right now", " at the moment"))
    return f"{subject.text} {IS[subject.number]} {c.action('progressive', subject.owner)}{_maybe_place(c)}{now}"


def _perfect(c: Composer) -> str:
    subject = c.subject()
    already = c.pick(("already", "just", "never", "finally", "also"))
    return f"{subject.text} {HAS[subject.number]} {already} {c.action('participle', subject.owner)}"


def _modal(c: Composer) -> str:
    subject = c.subject()
    modal = c.pick(_MODALS)
    return f"{subject.text} {modal} {c.action('base', subject.owner)}{_maybe_place(c, 0.5)}"


def _infinitive(c: Composer) -> str:
    subject = c.subject()
    if c.chance(0.5):
        wish = c.pick(_WISHES)[subject.number != SINGULAR]
    else:
        wish = c.pick(_PAST_WISHES)
    return f"{subject.text} {wish} to {c.action('base', subject.owner)}{_maybe_place(c, 0.5)}"


def _passive(c: Composer) -> str:
    scene = c.scene()
    kind = c.pick(scene.objects)
    thing = c.thing(scene, kind)
    verb = c.verb(scene, kind, stative=False)
    c.content(verb.participle.partition(" ")[0])
    manner = f"{c.content(c.pick(c.lexicon.manners))} " if c.chance(0.15) else ""
    ending = f" by {c.person().text}" if c.chance(0.6) else f" {c.time('past')}"
    return f"{thing.text} {WAS[thing.number]} {manner}{verb.participle}{ending}"


def _there(c: Composer) -> str:
    scene = c.scene()
    kind = c.pick(scene.objects)
    noun = c.noun(scene, kind)
    adjective = f"{c.adjective(scene, kind)} " if c.chance(max(c.rich, 0.5)) else ""
    be = c.pick((IS, WAS))
    if not noun.plural:
        amount = c.pick(("some", "too much", "enough", "no"))
        return f"there {be[SINGULAR]} {amount} {adjective}{c.content(noun.singular)} {c.place()}"
    if c.chance(0.5):
        count = c.pick(("two", "three", "many", "some", "several", "no", "only a few"))
        return f"there {be[PLURAL]} {count} {adjective}{c.content(noun.plural)} {c.place()}"
    words = adjective + c.content(noun.singular)
    return f"there {be[SINGULAR]} {with_article(words)} {c.place()}"


def _described(c: Composer) -> str:
    scene = c.scene()
    kind = c.pick(scene.objects)
    thing = c.thing(scene, kind, definite=True)
    place = _maybe_place(c, 0.5)
    degree = c.pick((*c.lexicon.degrees, "not"))
    be = c.pick((IS, WAS))
    return f"{thing.text}{place} {be[thing.number]} {degree} {c.adjective(scene, kind)}"


def _list(c: Composer) -> str:
    subject = c.subject()
    scene = c.scene()
    kind = c.pick(scene.objects)
    verb = c.verb(scene, kind)
    c.content(verb.past.partition(" ")[0])
    items = [c.object(scene, kind, subject.owner) for _ in range(3 if c.chance(0.7) else 2)]
    listed = f"{', '.join(items[:-1])}, and {items[-1]}" if len(items) > 2 else " and ".join(items)
    return f"{subject.text} {verb.past} {listed}{_maybe_place(c)}"


def _gerund(c: Composer) -> str:
    judgement = c.pick(("is fun", "is hard work", "takes time", "is not easy", "is a good idea", "can be dangerous"))
    return f"{c.action('progressive')}{_maybe_place(c, 0.6)} {judgement}"


def _judgement(c: Composer) -> str:
    return f"it {c.pick(('is', 'was'))} {c.content(c.pick(_JUDGEMENTS))} to {c.action('base')}{_maybe_place(c, 0.5)}"


def _comparison(c: Composer) -> str:
    scene = c.scene()
    kind = c.pick(scene.objects)
    first, second = (c.thing(scene, kind, definite=True) for _ in range(2))
    be = c.pick((IS, WAS))
    return f"{first.text} {be[first.number]} {c.compared(scene, kind)} than {second.text}"


def _alone(c: Composer) -> str:
    subject = c.subject()
    if c.chance(0.5):
        manner = f" {c.content(c.pick(c.lexicon.manners))}" if c.chance(0.3) else ""
        return f"{subject.text} {c.alone('past')}{manner} {c.place()}"
    with_whom = f" with {c.person().text}" if c.chance(0.4) else ""
    return f"{subject.text} {c.pick((WAS, IS))[subject.number]} {c.alone('progressive')} {c.place()}{with_whom}"


def _question(c: Composer) -> str:
    kind = int(c.draw() * 6)
    if kind == 0:
        return f"did {_bare(c)} {c.time('past')}?"
    if kind == 1:
        subject = c.subject()
        return f"{DOES[subject.number]} {subject.text} {c.action('base', subject.owner)} {c.time('habit')}?"
    if kind == 2:
        return f"can you {c.action('base', 'your')}{_maybe_place(c, 0.6)}?"
    if kind == 3:
        question = c.pick(("where", "when", "why", "how"))
        return f"{question} did {_bare(c)}?"
    if kind == 4:
        return f"who {c.action('past')} {c.place()}?"
    subject = c.subject()
    return f"{HAS[subject.number]} {subject.text} ever {c.action('participle', subject.owner)}{_maybe_place(c)}?"


def _bare(c: Composer) -> str:
    subject = c.subject()
    return f"{subject.text} {c.action('base', subject.owner)}"


def _imperative(c: Composer) -> str:
    start = c.pick(("please ", "", "do not ", "always ", "never "))
    first = c.action("base", "your")
    kind = c.draw()
    if kind < 0.4:
        return f"{start}{first} {c.place()}"
    joined = "or" if start in ("do not ", "never ") else "and"
    return f"{start}{first} {joined} {c.action('base', 'your')}"


def _somebody(c: Composer) -> str:
    return f"{c.pick(_SOMEBODY)} {c.action('past')}{_maybe_place(c, 0.6)}"


def _pair(c: Composer) -> str:
    scene = c.scene()
    kind = c.pick(scene.objects)
    first, second = (c.thing(scene, kind, definite=True) for _ in range(2))
    start = c.pick(("both ", ""))
    return f"{start}{first.text} and {second.text} {c.pick(('are', 'were'))} {c.adjective(scene, kind)}"


def _because(c: Composer) -> str:
    reason = _was_adjective(c) if c.chance(0.6) else _past(c)
    clause = f"{_past(c)}{_maybe_place(c, 0.25)}"
    if c.chance(0.3):
        return f"because {reason}, {clause}"
    if c.chance(0.3):
        return f"{reason}, so {clause}"
    return f"{clause} because {reason}"


def _was_adjective(c: Composer) -> str:
    if c.chance(0.4):
        person = c.person()
        return f"{person.text} {WAS[person.number]} {c.adjective(c.scene(), 'person')}"
    scene = c.scene()
    kind = c.pick(scene.objects)
    thing = c.thing(scene, kind, definite=True)
    return f"{thing.text} {WAS[thing.number]} {c.pick((*c.lexicon.degrees, 'not'))} {c.adjective(scene, kind)}"


def _when(c: Composer) -> str:
    conjunction = c.pick(("when", "after", "before", "while"))
    if conjunction == "while":
        subject = c.subject()
        other = f"{subject.text} {WAS[subject.number]} {c.action('progressive', subject.owner)}"
    else:
        other = _past(c)
    main = f"{_past(c)}{_maybe_place(c, 0.3)}"
    return f"{conjunction} {other}, {main}" if c.chance(0.5) else f"{main} {conjunction} {other}"


def _but(c: Composer) -> str:
    kind = c.draw()
    if kind < 0.5:
        return f"{_past(c)}, {c.pick(('but', 'and', 'so'))} {_past(c)}{_maybe_place(c, 0.3)}"
    if kind < 0.75:
        return f"although {_was_adjective(c)}, {_past(c)}{_maybe_place(c, 0.3)}"
    subject = c.subject()
    return f"{subject.text} {c.action('past', subject.owner)} and {c.action('past', subject.owner)}{_maybe_place(c)}"


def _if(c: Composer) -> str:
    condition, subject = _present(c), c.subject()
    result = f"{subject.text} {c.pick(('will', 'can', 'should', 'may'))} {c.action('base', subject.owner)}"
    return f"if {condition}, {result}" if c.chance(0.6) else f"{result} if {condition}"


def _relative(c: Composer) -> str:
    if c.chance(0.5):
        person = _one_person(c)
        clause = f"{person.text} who {c.action('past')}"
        if c.chance(0.5):
            return f"{clause} {WAS[person.number]} {c.pick(c.lexicon.degrees)} {c.adjective(c.scene(), 'person')}"
        return f"{clause} {c.action('past')}{_maybe_place(c, 0.5)}"
    scene = c.scene()
    kind = c.pick(scene.objects)
    thing = c.thing(scene, kind, definite=True)
    verb, subject = c.verb(scene, kind), c.subject()
    c.content(verb.past.partition(" ")[0])
    clause = f"{thing.text} that {subject.text} {verb.past} {c.time('past')}"
    be = c.pick((WAS, IS))[thing.number]
    return f"{clause} {be} {c.pick(c.lexicon.degrees)} {c.adjective(scene, kind)}"


def _one_person(c: Composer) -> Subject:
    scene = c.scene()
    noun = c.noun(scene, "person")
    described = f"{c.adjective(scene, 'person')} " if c.chance(c.rich) else ""
    if c.chance(0.3):
        return Subject(f"the {described}{c.content(noun.plural)}", PLURAL)
    return Subject(f"the {described}{c.content(noun.singular)}", SINGULAR)


def _asked(c: Composer) -> str:
    person, other = c.person(), _one_person(c)
    asked = c.pick(("asked", "told", "helped", "wanted", "taught"))
    return f"{person.text} {asked} {other.text} to {c.action('base')}{_maybe_place(c, 0.5)}"


def _where_also(c: Composer) -> str:
    first, second = _past(c), _past(c)
    return f"{c.place()}, {first}, {c.pick(('and', 'but', 'while'))} {second}"


_SIMPLE: tuple[Pattern, ...] = (
    _past_simple,
    _past_simple,
    _habit,
    _future,
    _progressive,
    _perfect,
    _modal,
    _infinitive,
    _passive,
    _there,
    _described,
    _list,
    _gerund,
    _judgement,
    _comparison,
    _alone,
    _question,
    _imperative,
    _somebody,
    _pair,
)
_COMPOUND: tuple[Pattern, ...] = (_because, _when, _but, _if, _relative, _asked, _list, _where_also)
