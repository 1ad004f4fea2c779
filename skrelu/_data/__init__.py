"""Parameters and data: checked, labelled, weighed, ordered and split."""
