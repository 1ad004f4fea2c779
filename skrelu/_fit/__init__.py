"""A fit: the problem, the descent, the rounds of the evidence, the search and the path."""
