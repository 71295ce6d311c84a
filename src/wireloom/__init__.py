"""Wireloom: the wiring of a neural network as a value."""
