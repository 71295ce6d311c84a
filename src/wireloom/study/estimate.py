"""What a study would cost, without running it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from wireloom.data import load, steps_per_epoch
from wireloom.models import Population
from wireloom.study.engine import Local
from wireloom.study.plan import Plan
from wireloom.training.optimiser import Optimiser
from wireloom.training.running import Training

TRIAL_STEPS = 6


@dataclass(frozen=True)
class Estimate:
    """Cost of a study.

    networks, chunks, largest: networks, populations, and members of the largest.
    macs, params: of the dense baseline, a sample.
    widths: least and largest hidden width of the networks.
    training_macs: multiply-adds to train everything (forward and both gradients).
    step_seconds: measured time of one step of the largest population on one worker's threads.
    workers: processes.
    seconds: expected time.
    """

    networks: int
    chunks: int
    largest: int
    macs: int
    params: int
    widths: tuple[int, int]
    training_macs: float
    step_seconds: float
    workers: int
    seconds: float


def estimate(plan: Plan, engine: Local) -> Estimate:
    """Measure a few steps of the largest population and scale them to the whole study.

    Takes a few seconds. Processes that share memory bandwidth are somewhat slower than one alone,
    so the true time is often a fifth longer.
    """
    data = load(plan.data, limit=plan.limit, test_limit=plan.test_limit)
    chunks = plan.chunks(data)
    build = plan.build(data)
    largest = max(chunks, key=len)
    members = [build.member(plan.wirings[r.wiring], r.seed) for r in largest]
    population = Population(members, device=engine.device)
    workers, threads = engine.share(len(chunks))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    recipe = plan.recipe
    some = TRIAL_STEPS * recipe.batch
    few = replace(
        data,
        train_images=data.train_images[:some],
        train_labels=data.train_labels[:some],
        test_images=data.test_images[:512],
        test_labels=data.test_labels[:512],
    ).to(engine.device)
    wait = torch.cuda.synchronize if engine.device != "cpu" else lambda: None
    training = Training(population, few, Optimiser(population, replace(recipe, evaluate=10**9)))
    try:
        training.run_epoch()  # warm-up
        wait()
        started = time.perf_counter()
        training.run_epoch()
        wait()
        step = (time.perf_counter() - started) / steps_per_epoch(few, recipe.batch)
        started = time.perf_counter()
        training.evaluate()
        test = (time.perf_counter() - started) / len(few.test_labels)
    finally:
        torch.set_num_threads(before)
    steps = recipe.epochs * steps_per_epoch(data, recipe.batch)
    evaluations = sum(recipe.evaluates(epoch) for epoch in range(recipe.epochs))
    chunk_seconds = steps * step + evaluations * test * len(data.test_labels)
    each = plan.members(data, plan.wirings).values()
    networks = len(plan.runs())
    dense = build.baseline.cost(None)
    seen = networks * steps * min(recipe.batch, len(data.train_labels))
    return Estimate(
        networks=networks,
        chunks=len(chunks),
        largest=len(largest),
        macs=dense.macs,
        params=dense.params,
        widths=(min(m.shape.width for m in each), max(m.shape.width for m in each)),
        training_macs=3.0 * dense.macs * seen,
        step_seconds=step,
        workers=workers,
        seconds=chunk_seconds * -(-len(chunks) // workers),
    )
