"""Stands in for the posterior in files of format 1, which name it by this path; `_persistence` reads it."""


class Posterior:
    """The arrays of a saved posterior, as attributes."""
