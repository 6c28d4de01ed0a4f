"""Clauses that sentences are put together from, each with subject and verb in agreement."""

from __future__ import annotations

from .phrases import PLURAL, SINGULAR, WAS, Composer, Subject, present


def past_clause(c: Composer) -> str:
    """A clause in the past: "she peeled an onion"."""
    subject = c.subject()
    return f"{subject.text} {c.action('past', subject.owner)}"


def present_clause(c: Composer) -> str:
    """A clause in the present tense: "she peels an onion"."""
    subject = c.subject()
    return f"{subject.text} {c.action(present(subject.number), subject.owner)}"


def bare_clause(c: Composer) -> str:
    """A clause with the verb in its base form, as after "did": "she peel an onion"."""
    subject = c.subject()
    return f"{subject.text} {c.action('base', subject.owner)}"


def maybe_place(c: Composer, probability: float = 0.4) -> str:
    """A place behind a space, with this probability; else nothing."""
    return f" {c.place()}" if c.chance(probability) else ""


def description(c: Composer) -> str:
    """A clause that says how somebody or something was: "the onion was very big"."""
    if c.chance(0.4):
        person = c.person()
        return f"{person.text} {WAS[person.number]} {c.adjective(c.scene(), 'person')}"
    scene = c.scene()
    kind = c.pick(scene.objects)
    thing = c.thing(scene, kind, definite=True)
    return f"{thing.text} {WAS[thing.number]} {c.pick((*c.lexicon.degrees, 'not'))} {c.graded(scene, kind)}"


def one_person(c: Composer) -> Subject:
    """A person, or several, in the same words whoever speaks: "the old baker"."""
    scene = c.scene()
    noun = c.noun(scene, "person")
    described = f"{c.adjective(scene, 'person')} " if c.chance(c.rich) else ""
    if c.chance(0.3):
        return Subject(f"the {described}{c.content(noun.plural)}", PLURAL)
    return Subject(f"the {described}{c.content(noun.singular)}", SINGULAR)
