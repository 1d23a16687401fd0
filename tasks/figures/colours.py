"""Colours that people with any kind of colour vision tell apart."""

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
"""Those of Okabe and Ito ("Color universal design", 2008), without yellow, which is too pale for lines."""

MARKERS = "osD^vP*X"
"""Eight shapes beside seven colours: lines are alike only after 56 of them."""


def colour(index: int) -> str:
    """Return the colour of the line of this number; after the last one they start again."""
    return COLOURS[index % len(COLOURS)]
