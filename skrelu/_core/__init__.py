"""The mathematics of the network and its objective, on arrays: a sum over blocks of rows."""
