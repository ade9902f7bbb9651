"""Checks of this repository that are no tests of the product. Belongs here: what `make lint` runs. Does not: fixes."""
