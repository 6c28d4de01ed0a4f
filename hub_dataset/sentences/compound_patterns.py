"""Patterns of sentences with two clauses, which hold many words."""

from __future__ import annotations

from .clauses import description, maybe_place, one_person, past_clause, present_clause
from .phrases import IS, WAS, Composer, Pattern
from .simple_patterns import make_list


def _because(c: Composer) -> str:
    reason = description(c) if c.chance(0.6) else past_clause(c)
    clause = f"{past_clause(c)}{maybe_place(c, 0.25)}"
    if c.chance(0.3):
        return f"because {reason}, {clause}"
    if c.chance(0.3):
        return f"{reason}, so {clause}"
    return f"{clause} because {reason}"


def _when(c: Composer) -> str:
    conjunction = c.pick(("when", "after", "before", "while"))
    if conjunction == "while":
        subject = c.subject()
        other = f"{subject.text} {WAS[subject.number]} {c.action('progressive', subject.owner)}"
    else:
        other = past_clause(c)
    main = f"{past_clause(c)}{maybe_place(c, 0.3)}"
    return f"{conjunction} {other}, {main}" if c.chance(0.5) else f"{main} {conjunction} {other}"


def _but(c: Composer) -> str:
    kind = c.draw()
    if kind < 0.5:
        return f"{past_clause(c)}, {c.pick(('but', 'and', 'so'))} {past_clause(c)}{maybe_place(c, 0.3)}"
    if kind < 0.75:
        return f"although {description(c)}, {past_clause(c)}{maybe_place(c, 0.3)}"
    subject = c.subject()
    return f"{subject.text} {c.action('past', subject.owner)} and {c.action('past', subject.owner)}{maybe_place(c)}"


def _if(c: Composer) -> str:
    condition, subject = present_clause(c), c.subject()
    result = f"{subject.text} {c.pick(('will', 'can', 'should', 'may'))} {c.action('base', subject.owner)}"
    return f"if {condition}, {result}" if c.chance(0.6) else f"{result} if {condition}"


def _relative(c: Composer) -> str:
    if c.chance(0.5):
        person = one_person(c)
        clause = f"{person.text} who {c.action('past')}"
        if c.chance(0.5):
            return f"{clause} {WAS[person.number]} {c.pick(c.lexicon.degrees)} {c.graded(c.scene(), 'person')}"
        return f"{clause} {c.action('past')}{maybe_place(c, 0.5)}"
    scene = c.scene()
    kind = c.pick(scene.objects)
    thing = c.thing(scene, kind, definite=True)
    verb, subject = c.verb(scene, kind), c.subject()
    c.content(verb.past.partition(" ")[0])
    link = "which" if subject.text.startswith("that ") else "that"
    clause = f"{thing.text} {link} {subject.text} {verb.past} {c.time('past')}"
    be = c.pick((WAS, IS))[thing.number]
    return f"{clause} {be} {c.pick(c.lexicon.degrees)} {c.graded(scene, kind)}"


def _asked(c: Composer) -> str:
    person, other = c.person(), one_person(c)
    asked = c.pick(("asked", "told", "helped", "wanted", "taught"))
    return f"{person.text} {asked} {other.text} to {c.action('base')}{maybe_place(c, 0.5)}"


def _where_also(c: Composer) -> str:
    first, second = past_clause(c), past_clause(c)
    return f"{c.place()}, {first}, {c.pick(('and', 'but', 'while'))} {second}"


COMPOUND: tuple[Pattern, ...] = (_because, _when, _but, _if, _relative, _asked, make_list, _where_also)
