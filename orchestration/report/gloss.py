"""One sentence for each term, shown where the term stands.

Belongs here: short explanations for readers. Does not: the definitions themselves (`docs/glossary.md` and the comments
of the database, which the page has as well).
"""

from __future__ import annotations

from typing import Final

from orchestration.report.elements import Defined

_TERMS: Final = {
    "Net taker volume": "what takers bought minus what they sold; negative where selling prevailed.",
    "Sell ratio": "share of the volume that takers sold; above 0.5 they sold more.",
    "Sell percentile": "share of the other days of its trailing 730 with a smaller sell ratio; 100 % is the highest.",
    "Rank": "1 is the most extreme bar of the trailing window that ends with it; nothing later counts.",
    "Best rank": "the smallest under any definition, which is named beside it; a market's sentence has that of UTC "
    "days in USD.",
    "Event": "a bar with no more extreme one within a day of it, so that one crash is one spike; its event rank is "
    "among those.",
    "z": "distance from the median of the bars before, in robust standard deviations.",
    "Coverage": "share of the bar, the day or the window that is proven to be there.",
    "≥": "a lower bound: venues do not publish every liquidation.",
    "Open interest": "value of all contracts that are open.",
    "Funding": "what longs pay shorts; negative where shorts pay. Of a day, the sum of its fundings.",
    "Top traders, accounts": "longs divided by shorts: positions of the venue's top traders, and all its accounts.",
    "p": "how often chance does as well; below 0.05 is called evidence.",
    "Hit rate": "share of the events after which going against the crowd gained.",
    "Net ratio": "net taker volume divided by volume.",
}


def glossed(*terms: str) -> tuple[Defined, ...]:
    """The terms with their sentences, in this order."""
    return tuple(Defined(term, _TERMS[term]) for term in terms)
