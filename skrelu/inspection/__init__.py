"""Plots of a fitted model. They need the extra `plot` (matplotlib)."""

from skrelu.inspection._loss_curve import LossCurveDisplay

__all__ = ["LossCurveDisplay"]
