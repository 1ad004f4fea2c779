"""Exact explanations of a fitted network, and pictures of it. The pictures need the extra `plot` (matplotlib)."""

from skrelu.inspection._counterfactual import Counterfactuals, nearest_counterfactual
from skrelu.inspection._importance import LocalFeatureImportance, local_feature_importance
from skrelu.inspection._linear_regions import linear_regions
from skrelu.inspection._linear_regions_display import LinearRegionsDisplay
from skrelu.inspection._local_coefficients_display import LocalCoefficientsDisplay
from skrelu.inspection._local_explanation_display import LocalExplanationDisplay
from skrelu.inspection._local_models import LocalLinearModels, local_linear_models
from skrelu.inspection._loss_curve import LossCurveDisplay
from skrelu.inspection._regionwise import RegionwiseLogisticClassifier, simplify

__all__ = [
    "Counterfactuals",
    "LinearRegionsDisplay",
    "LocalCoefficientsDisplay",
    "LocalExplanationDisplay",
    "LocalFeatureImportance",
    "LocalLinearModels",
    "LossCurveDisplay",
    "RegionwiseLogisticClassifier",
    "linear_regions",
    "local_feature_importance",
    "local_linear_models",
    "nearest_counterfactual",
    "simplify",
]
