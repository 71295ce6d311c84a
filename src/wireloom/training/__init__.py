"""Recipes and the one loop that trains a population; a single network is a population of one."""

from wireloom.training.loop import Result, fit
from wireloom.training.machine import machine
from wireloom.training.optimiser import Optimiser
from wireloom.training.recipe import NUMERICS, RECIPES, Recipe

__all__ = ["NUMERICS", "RECIPES", "Optimiser", "Recipe", "Result", "fit", "machine"]
