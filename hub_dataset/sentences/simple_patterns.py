"""Patterns of sentences with one clause, and lists."""

from __future__ import annotations

from .clauses import bare_clause, maybe_place, past_clause, present_clause
from .inflection import with_article
from .phrases import DOES, HAS, IS, PLURAL, SINGULAR, WAS, Composer, Pattern, present

_MODALS = ("should", "must", "can", "may", "might", "will", "could", "would never")
# Each as a singular and another subject says it.
_WISHES = (("wants", "want"), ("hopes", "hope"), ("plans", "plan"), ("needs", "need"), ("has", "have"))
_PAST_WISHES = ("wanted", "tried", "decided", "forgot", "began", "refused", "promised", "had")
_JUDGEMENTS = ("easy", "hard", "important", "dangerous", "difficult", "safe", "useful", "wise", "impossible")
_SOMEBODY = ("nobody", "somebody", "everyone", "one of us", "no one")


def _past_simple(c: Composer) -> str:
    if c.chance(0.3):
        time = c.time("past")
        return f"{time}, {past_clause(c)}{maybe_place(c)}"
    clause = past_clause(c)
    kind = c.draw()
    if kind < 0.35:
        return f"{clause} {c.place()}"
    return f"{clause} {c.time('past')}" if kind < 0.85 else clause


def _habit(c: Composer) -> str:
    if c.chance(0.5):
        time = c.time("habit")
        return f"{time}, {present_clause(c)}{maybe_place(c)}"
    often = c.pick(("often", "always", "never", "usually", "sometimes", "rarely"))
    subject = c.subject()
    return f"{subject.text} {often} {c.action(present(subject.number), subject.owner)}{maybe_place(c)}"


def _future(c: Composer) -> str:
    subject = c.subject()
    if c.chance(0.5):
        return f"{subject.text} will {c.action('base', subject.owner)} {c.time('future')}"
    return f"{subject.text} {IS[subject.number]} going to {c.action('base', subject.owner)} {c.time('future')}"


def _progressive(c: Composer) -> str:
    subject = c.subject()
    now = c.pick(("", "", " right now", " at the moment"))
    return f"{subject.text} {IS[subject.number]} {c.action('progressive', subject.owner)}{maybe_place(c)}{now}"


def _perfect(c: Composer) -> str:
    subject = c.subject()
    already = c.pick(("already", "just", "never", "finally", "also"))
    return f"{subject.text} {HAS[subject.number]} {already} {c.action('participle', subject.owner)}"


def _modal(c: Composer) -> str:
    subject = c.subject()
    modal = c.pick(_MODALS)
    return f"{subject.text} {modal} {c.action('base', subject.owner)}{maybe_place(c, 0.5)}"


def _infinitive(c: Composer) -> str:
    subject = c.subject()
    wish = c.pick(_WISHES)[subject.number != SINGULAR] if c.chance(0.5) else c.pick(_PAST_WISHES)
    return f"{subject.text} {wish} to {c.action('base', subject.owner)}{maybe_place(c, 0.5)}"


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
    words = with_article(adjective + c.content(noun.singular))
    if c.chance(0.5):
        words += f" and {c.object(scene, kind)}"
    return f"there {be[SINGULAR]} {words} {c.place()}"


def _described(c: Composer) -> str:
    scene = c.scene()
    kind = c.pick(scene.objects)
    thing = c.thing(scene, kind, definite=True)
    place = maybe_place(c, 0.5)
    degree = c.pick((*c.lexicon.degrees, "not"))
    be = c.pick((IS, WAS))
    return f"{thing.text}{place} {be[thing.number]} {degree} {c.graded(scene, kind)}"


def make_list(c: Composer) -> str:
    """A sentence in which something is done to two or three things: "she peeled an onion, a carrot, and two eggs"."""
    subject = c.subject()
    scene = c.scene()
    kind = c.pick(scene.objects)
    verb = c.verb(scene, kind)
    c.content(verb.past.partition(" ")[0])
    items = [c.object(scene, kind, subject.owner) for _ in range(3 if c.chance(0.7) else 2)]
    listed = f"{', '.join(items[:-1])}, and {items[-1]}" if len(items) > 2 else " and ".join(items)
    return f"{subject.text} {verb.past} {listed}{maybe_place(c)}"


def _gerund(c: Composer) -> str:
    judgement = c.pick(("is fun", "is hard work", "takes time", "is not easy", "is a good idea", "can be dangerous"))
    return f"{c.action('progressive')}{maybe_place(c, 0.6)} {judgement}"


def _judgement(c: Composer) -> str:
    return f"it {c.pick(('is', 'was'))} {c.content(c.pick(_JUDGEMENTS))} to {c.action('base')}{maybe_place(c, 0.5)}"


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
        return f"did {bare_clause(c)} {c.time('past')}?"
    if kind == 1:
        subject = c.subject()
        return f"{DOES[subject.number]} {subject.text} {c.action('base', subject.owner)} {c.time('habit')}?"
    if kind == 2:
        return f"can you {c.action('base', 'your')}{maybe_place(c, 0.6)}?"
    if kind == 3:
        question = c.pick(("where", "when", "why", "how"))
        return f"{question} did {bare_clause(c)}?"
    if kind == 4:
        return f"who {c.action('past')} {c.place()}?"
    subject = c.subject()
    return f"{HAS[subject.number]} {subject.text} ever {c.action('participle', subject.owner)}{maybe_place(c)}?"


def _imperative(c: Composer) -> str:
    # A word stands before the verb: "Cook" and "Park" with a capital letter are names of `test`.
    start = c.pick(("please ", "do not ", "always ", "never "))
    first = c.action("base", "your", stative=False)
    if c.chance(0.4):
        return f"{start}{first} {c.place()}"
    joined = "or" if start in ("do not ", "never ") else "and"
    return f"{start}{first} {joined} {c.action('base', 'your', stative=False)}"


def _somebody(c: Composer) -> str:
    return f"{c.pick(_SOMEBODY)} {c.action('past')}{maybe_place(c, 0.6)}"


def _pair(c: Composer) -> str:
    scene = c.scene()
    kind = c.pick(scene.objects)
    first, second = (c.thing(scene, kind, definite=True) for _ in range(2))
    start = c.pick(("both ", ""))
    return f"{start}{first.text} and {second.text} {c.pick(('are', 'were'))} {c.adjective(scene, kind)}"


# What is said most stands twice.
SIMPLE: tuple[Pattern, ...] = (
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
    make_list,
    _gerund,
    _judgement,
    _comparison,
    _alone,
    _question,
    _imperative,
    _somebody,
    _pair,
)
