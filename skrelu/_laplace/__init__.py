"""Laplace's approximation: curvature, evidence, leave-one-out loss and posterior."""
