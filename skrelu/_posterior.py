"""The posterior in saved models of format 1, which name this path; `_persistence` reads it."""


class Posterior:
    """The arrays of a saved posterior, as attributes."""
