"""A sweet spot in words: the answer first, then what speaks for and against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wireloom.study.statistics import WORSE

if TYPE_CHECKING:
    from wireloom.study.analysis import Bin, Range, SweetSpot


def verdict(found: SweetSpot) -> list[str]:
    """Say in plain sentences what the map shows and how far to trust it."""
    if found.is_noise:
        return [_answer(found), _reliability(found), _gain(found), *_losses(found)]
    return [
        _answer(found),
        _reliability(found),
        _region(found),
        *_uncertainty(found),
        *_trends(found),
        *_slices(found),
        _gain(found),
        *_losses(found),
    ]


def _answer(found: SweetSpot) -> str:
    if found.is_noise:
        return "This map is noise: nothing here says that one wiring is better than another."
    region = f"C {_span(found.clustering)} and L {_span(found.path_length)}"
    gain = found.honest_gain
    if gain is None or found.baseline is None:
        return f"Wirings with {region} do best."
    if gain <= 0:
        return (
            f"No wiring beats the dense baseline: the one picked on some seeds is {-gain:.2f} "
            f"points worse on the others. Among wirings, those with {region} do best."
        )
    return (
        f"Wirings with {region} do best: {gain:.2f} points less error than the dense baseline at "
        "the same cost, judged on seeds that took no part in the picking."
    )


def _reliability(found: SweetSpot) -> str:
    if found.reliability is None:
        if found.seeds < 2:
            why = "there is one seed only"
        elif len(found.best_wiring.ties) == found.wirings - 1:
            why = "the errors do not differ"
        else:
            why = "too few wirings share seeds"
        return f"Reliability is unknown, because {why}: treat this map as noise."
    if found.is_noise:
        judgement = "the differences are mostly between seeds: treat this map as noise"
    elif found.reliability < 0.8:
        judgement = "the map is real in its large shape, but single wirings are not settled"
    else:
        judgement = "most of the differences are between wirings, not seeds"
    return f"Reliability over {found.seeds} seeds is {found.reliability:.2f}: {judgement}."


def _region(found: SweetSpot) -> str:
    kept = sum(b.kept for b in found.bins)
    what = "bins" if found.by == "bin" else "wirings"
    than = "the best" if found.reference == found.best.wiring else f"wiring {found.reference}"
    return (
        f"The best region is C {_span(found.clustering)}, L {_span(found.path_length)}: "
        f"{kept} of {len(found.bins)} {what} are not worse than {than} (p < {WORSE:g})."
    )


def _uncertainty(found: SweetSpot) -> list[str]:
    said = []
    if found.interval is not None:
        ends = found.interval
        said.append(
            f"With other wirings (5-95 % of {ends.resamples} draws) C would start within "
            f"{_span(ends.clustering_lo)} and end within {_span(ends.clustering_hi)}, "
            f"L start within {_span(ends.path_length_lo)} and end within "
            f"{_span(ends.path_length_hi)}."
        )
    untested = sum(b.p_value is None for b in found.bins)
    if untested:
        said.append(f"Kept without a test, for want of a second run: {untested}.")
    if found.by == "bin" and _rests_on_few([b for b in found.bins if b.kept]):
        said.append("An end of the region rests on bins with fewer than 3 wirings.")
    return said


def _trends(found: SweetSpot) -> list[str]:
    trends = (
        ("clustering", found.correlation.clustering, "less clustered", "more clustered"),
        ("path length", found.correlation.path_length, "shorter-path", "longer-path"),
        ("density", found.correlation.log_density, "sparser", "denser"),
    )
    said = []
    for measure, r, low, high in trends:
        if r is None:
            continue
        if abs(r) < max(0.1, 2 / np.sqrt(found.wirings)):
            said.append(f"Error has no clear straight trend with {measure} (r = {r:+.2f}).")
        else:
            moves, better = ("rises", low) if r > 0 else ("falls", high)
            said.append(f"Error {moves} with {measure} (r = {r:+.2f}): {better} wirings do better.")
    return said


def _slices(found: SweetSpot) -> list[str]:
    said = []
    for cut, along, other in zip(found.slices, "LC", "CL", strict=True):
        fit, places = cut.fit, [x for x, _ in cut.points]
        if fit is None or fit.vertex is None or not fit.opens_up:
            continue
        if fit.r2 >= 0.1 and min(places) <= fit.vertex <= max(places):
            said.append(
                f"For {other} in {_span(cut.within)} a parabola is lowest at {along} = "
                f"{fit.vertex:.2f} (R2 {fit.r2:.2f}, {len(places)} wirings)."
            )
    return said


def _gain(found: SweetSpot) -> str:
    if found.gain is None or found.baseline is None or found.better_than_baseline is None:
        return "There are no runs of the dense baseline, so no gain is given."
    honest = (
        "the honest gain is unknown (wirings share too few seeds)"
        if found.honest_gain is None
        else f"a wiring picked on some seeds {_gains(found.honest_gain)} on the others"
    )
    return (
        f"Against the dense baseline (mean error {found.baseline:.4g}) {honest}; the best "
        f"wiring's raw figure, which flatters it, {_gains(found.gain)}; "
        f"{found.better_than_baseline:.0%} of the wirings beat the baseline."
    )


def _losses(found: SweetSpot) -> list[str]:
    said = []
    if found.best_wiring.ties:
        count = len(found.best_wiring.ties)
        said.append(f"{count} more wiring{'s tie' if count > 1 else ' ties'} for the best.")
    if found.left_out:
        said.append(f"Rows left out for missing or infinite values: {found.left_out}.")
    if found.outside:
        said.append(
            f"Wirings off the grid, absent from the region: {found.outside}; "
            "`longest` makes the grid reach further in L."
        )
    return said


def _rests_on_few(kept: list[Bin]) -> bool:
    """True if the rectangle would shrink without the bins that hold fewer than three wirings."""
    firm = [b for b in kept if b.wirings >= 3]

    def ends(bins: list[Bin]) -> set[tuple[str, float]]:
        return {
            *(("C", pick(b.clustering[0] for b in bins)) for pick in (min, max)),
            *(("L", pick(b.path_length[0] for b in bins)) for pick in (min, max)),
        }

    return not firm or ends(firm) != ends(kept)


def _span(ends: Range) -> str:
    return f"{ends[0]:.2f}-{ends[1]:.2f}"


def _gains(value: float) -> str:
    return f"gains {value:.3g}" if value >= 0 else f"loses {-value:.3g}"
