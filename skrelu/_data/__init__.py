"""Parameters and data: checks, labels, weights, order of the rows and splits."""
