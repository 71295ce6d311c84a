"""Labelled images: where they come from, and how an epoch walks them."""

from wireloom.data.convert import from_tensors, from_torch
from wireloom.data.dataset import Dataset
from wireloom.data.epochs import batches, evaluation_batches, steps_per_epoch
from wireloom.data.folders import from_folder
from wireloom.data.photographs import PHOTOGRAPHS, patch_places, patches
from wireloom.data.samples import Samples
from wireloom.data.sources import load
from wireloom.data.streamed import Streamed, stream_folder
from wireloom.data.transforms import AUGMENTATIONS, augment, normalise

__all__ = [
    "AUGMENTATIONS",
    "PHOTOGRAPHS",
    "Dataset",
    "Samples",
    "Streamed",
    "augment",
    "batches",
    "evaluation_batches",
    "from_folder",
    "from_tensors",
    "from_torch",
    "load",
    "normalise",
    "patch_places",
    "patches",
    "steps_per_epoch",
    "stream_folder",
]
