"""The network and its objective, on arrays; the objective is a sum over blocks of rows."""
