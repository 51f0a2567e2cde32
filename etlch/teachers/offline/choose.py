"""Choose which facts an article states, in which order and sentences: by chance, or by the weights of a growth."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from etlch.core.growth import Growth, shuffled, weight
from etlch.teachers.offline.pattern import Pattern
from etlch.teachers.offline.schema import Domain, Say, bare


def one_of(rng: Random, growth: Growth | None, domain: Domain, patterns: Sequence[Pattern]) -> Pattern:
    """Return one of the sentences that state the same, by the weights of their forms."""
    if growth is None:
        return rng.choice(patterns)
    weights = [growth.forms.get(domain.forms[pattern], 1.0) for pattern in patterns]
    return rng.choices(patterns, weights)[0]


def order_of(rng: Random, growth: Growth | None, domain: Domain, most: int, asides: int) -> list[Say]:
    """Return groups of sentences to tell: a lead, then others by chance or weight.

    No fact is told twice, and what must come before a group does.

    Args:
        rng: of the article.
        growth: its weights of facts, if it has any.
        domain: whose groups are told.
        most: groups that are not beside the point.
        asides: groups that are.
    """
    say = domain.say
    leads = [group for group in say if group.lead]
    if growth is None:
        lead = rng.choice(leads)
        waiting = rng.sample(say, len(say))
    else:
        lead = rng.choices(leads, [_heaviness(growth, domain, group) for group in leads])[0]
        waiting = shuffled(rng, say, [_heaviness(growth, domain, group) for group in say])
    told, stated = [lead], set(lead.facts)
    while len(told) < most + asides:
        fits = [
            group
            for group in waiting
            if group not in told
            and not stated & set(group.facts)
            and stated >= set(group.after)
            and (asides if group.aside else most) > sum(other.aside is group.aside for other in told)
        ]
        if not fits:
            break
        told.append(fits[0])
        stated |= set(fits[0].facts)
    return told


def _heaviness(growth: Growth, domain: Domain, group: Say) -> float:
    """Return the weight of sentences: that of the heaviest fact which they state."""
    weights = {bare(name): value for name, value in growth.facts.items()}
    return max((weight(weights, domain.kinds_of_facts[key]) for key in group.facts), default=1.0)
