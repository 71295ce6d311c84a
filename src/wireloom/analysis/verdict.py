"""A sweet spot in words: the answer first, then what speaks for and against it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from wireloom.analysis.statistics import WORSE

if TYPE_CHECKING:
    from wireloom.analysis.parts import Bin, Range
    from wireloom.analysis.spot import SweetSpot

_ENOUGH = 10  # wirings: a parabola through fewer fits well by chance
_NAMED = 3  # wirings that lost rows, named in one sentence
METHODS = {"holm": "Holm", "fdr": "Benjamini and Hochberg"}


def in_words(found: SweetSpot) -> list[str]:
    """Say in plain sentences what the map shows and how far to trust it.

    A map that is noise, or that nothing tells from noise, gets no region, trend or slice: only
    that it is so, why, and how the wirings stand against the dense baseline.
    """
    if found.reliability is None:
        return [
            f"This table cannot tell signal from noise: {_unknown(found)}. So it does not show "
            "which wiring, or which region, is best.",
            _gain(found),
            *_losses(found),
        ]
    if found.is_noise:
        return [
            "Treat this map as noise: it does not show which wiring, or which region, is best.",
            _reliability(found),
            _gain(found),
            *_losses(found),
        ]
    return [
        *_dense_wins(found),
        _region(found),
        *_correction(found),
        _gain(found),
        _reliability(found),
        *_uncertainty(found),
        *_trends(found),
        *_slices(found),
        *_losses(found),
    ]


def where(found: SweetSpot) -> list[str]:
    """Say where the region lies and how firm its ends are, and nothing else."""
    return [_region(found), *_correction(found), *_uncertainty(found)]


def _dense_wins(found: SweetSpot) -> list[str]:
    if found.better_than_baseline == 0:
        return ["The dense baseline does best: no wiring's mean error is below its own."]
    if found.honest_gain is not None and found.honest_gain <= 0:
        return [
            "No wiring is shown to beat the dense baseline: the lead of the best on some seeds is "
            "gone on the others."
        ]
    return []


def _region(found: SweetSpot) -> str:
    kept, total = sum(b.kept for b in found.bins), len(found.bins)
    what = "bins" if found.by == "bin" else "wirings"
    best = found.reference == found.best.wiring
    than = "the best" if best else f"wiring {found.reference}"
    where = f"clustering C {_span(found.clustering)} and path length L {_span(found.path_length)}"
    level = f"p < {WORSE:g}"
    if found.correction != "none":
        level += f", corrected for {found.corrected.tested} tests by {METHODS[found.correction]}"
    if total == 1:
        return f"No region stands out: there is one {what[:-1]} only."
    if kept == total:
        return (
            f"No region stands out: none of the {total} {what} is clearly worse than {than} "
            f"({level})."
        )
    who = "The best wirings" if best else "The wirings kept"
    return (
        f"{who} have {where}: {kept} of {total} {what} {_are(kept)} not clearly worse than {than} "
        f"({level})."
    )


def _correction(found: SweetSpot) -> list[str]:
    """What a correction for the number of tests does to the region: it can only grow."""
    plain = sum(b.p_value is None or b.p_value >= WORSE for b in found.bins)
    under, what = found.corrected, "bins" if found.by == "bin" else "wirings"
    if under.kept == plain:
        return []
    if found.correction != "none":
        return [
            f"Without the correction {plain} of {len(found.bins)} {what} {_are(plain)} kept: the "
            "region is the larger for it, because a correction asks for more proof that one is "
            "worse, not because more are known to be good."
        ]
    where = f"C {_span(under.clustering)} and L {_span(under.path_length)}"
    return [
        f"This makes no allowance for {under.tested} tests at once; with {METHODS['holm']}'s "
        f"correction {under.kept} {what} {_are(under.kept)} kept, with {where}: more, because "
        "it asks for more proof that one is worse."
    ]


def _gain(found: SweetSpot) -> str:
    if found.gain is None or found.better_than_baseline is None:
        return "There are no runs of the dense baseline, so no gain is given."
    honest = (
        "the honest gain is unknown, because it takes wirings that share two seeds or more"
        if found.honest_gain is None
        else f"a wiring picked on some seeds makes {_less(found.honest_gain)} on the other seeds, "
        f"the honest {_gain_or_loss(found.honest_gain)}"
    )
    share = found.better_than_baseline
    beat = f"{share:.0%} of the wirings beat" if share else "no wiring beats"
    return (
        f"Against the dense baseline (mean error {found.baseline:.4g}) {honest}; the wiring with "
        f"the lowest mean makes {_less(found.gain)}, the raw {_gain_or_loss(found.gain)}, which "
        f"tends to flatter it, because the same runs picked it; {beat} the baseline."
    )


def _reliability(found: SweetSpot) -> str:
    assert found.reliability is not None
    if found.is_noise:
        judgement = "the differences come mostly from the seeds, not from the wirings"
    elif found.reliability < 0.8:
        judgement = "the map is real in its large shape, but single wirings are not settled"
    else:
        judgement = "most of the differences come from the wirings, not from the seeds"
    return (
        f"Reliability over {found.seeds} seeds, by halves of them, is {found.reliability:.2f}, "
        f"where 1 means that new seeds would give the same map: {judgement}."
    )


def _unknown(found: SweetSpot) -> str:
    """Why the reliability is unknown."""
    if found.seeds < 2:
        return "one seed, so a good wiring may be luck"
    if len(found.best_wiring.ties) == found.wirings - 1:
        return "the errors do not differ"
    return "too few wirings share seeds"


def _uncertainty(found: SweetSpot) -> list[str]:
    said, kept = [], [b for b in found.bins if b.kept]
    stands_out = len(kept) < len(found.bins)
    if stands_out and found.interval is not None:
        ends = found.interval
        said.append(
            f"Had other wirings been drawn, the region might start at C {_span(ends.clustering_lo)}"
            f" and end at C {_span(ends.clustering_hi)}, start at L {_span(ends.path_length_lo)} "
            f"and end at L {_span(ends.path_length_hi)} (each holds in 90% of {ends.resamples} "
            "draws)."
        )
    untested = sum(b.p_value is None for b in found.bins)
    if untested:
        said.append(f"Kept without a test, for want of a second run: {untested}.")
    if stands_out and found.by == "bin" and _rests_on_few(kept):
        said.append(
            "An end of the region rests on bins with fewer than 3 wirings, so it is not firm."
        )
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
        if abs(r) < max(0.1, 2 / found.wirings**0.5):
            said.append(f"Error neither rises nor falls clearly with {measure} (r = {r:+.2f}).")
        else:
            moves, better = ("rises", low) if r > 0 else ("falls", high)
            said.append(
                f"On the whole, error {moves} with {measure} (r = {r:+.2f}): {better} wirings do "
                "better."
            )
    return said


def _slices(found: SweetSpot) -> list[str]:
    said = []
    for cut, along, other in zip(found.slices, "LC", "CL", strict=True):
        fit, places = cut.fit, [x for x, _ in cut.points]
        if fit is None or fit.vertex is None or not fit.opens_up or len(places) < _ENOUGH:
            continue
        if fit.r2 >= 0.1 and min(places) <= fit.vertex <= max(places):
            said.append(
                f"Among the {len(places)} wirings with {other} {_span(cut.within)}, error is "
                f"lowest near {along} = {fit.vertex:.2f}, by a parabola that explains "
                f"{fit.r2:.0%} of the differences."
            )
    return said


def _losses(found: SweetSpot) -> list[str]:
    said = []
    if found.best_wiring.ties:
        count = len(found.best_wiring.ties)
        said.append(f"{count} more wiring{'s tie' if count > 1 else ' ties'} for the lowest mean.")
    if found.epoch is not None:
        said.append(
            f"The table holds learning curves, of which the last epoch, {found.epoch:g}, alone was "
            "read."
        )
    if found.merged:
        s, repeat = ("", "repeats") if found.merged == 1 else ("s", "repeat")
        said.append(
            f"{found.merged} row{s} {repeat} a wiring and seed: a run is the mean of its rows."
        )
    if found.left_out:
        why = "missing or infinite values"
        if found.epoch is not None:
            why += " or a run that ended early"
        said.append(f"Rows left out for {why}: {found.left_out} ({_whose(found.left_out_of)}).")
    if found.lost:
        said.append(
            f"Wirings of which no row is left, so that the map says nothing of them: "
            f"{_listed(found.lost)}."
        )
    if found.outside:
        said.append(
            f"Wirings off the grid, absent from the bins: {found.outside}; `longest` makes the "
            "grid reach further in L."
        )
    return said


def _whose(left_out_of: tuple[tuple[Hashable, int], ...]) -> str:
    """Name the wirings that lost most rows, and count the others."""
    most = sorted(left_out_of, key=lambda pair: -pair[1])
    said = [f"{n} of {'no wiring' if i is None else f'wiring {i}'}" for i, n in most[:_NAMED]]
    others = most[_NAMED:]
    if others:
        more = "1 more wiring" if len(others) == 1 else f"{len(others)} more wirings"
        said.append(f"{sum(n for _, n in others)} of {more}")
    return ", ".join(said)


def _listed(ids: tuple[Hashable, ...]) -> str:
    said = ", ".join(map(str, ids[:_NAMED]))
    return said if len(ids) <= _NAMED else f"{said} and {len(ids) - _NAMED} more"


def _rests_on_few(kept: list[Bin]) -> bool:
    """True if the rectangle would shrink without the bins that hold fewer than three wirings."""
    firm = [b for b in kept if b.wirings >= 3]

    def ends(bins: list[Bin]) -> set[tuple[str, float]]:
        return {
            *(("C", pick(b.clustering[0] for b in bins)) for pick in (min, max)),
            *(("L", pick(b.path_length[0] for b in bins)) for pick in (min, max)),
        }

    return not firm or ends(firm) != ends(kept)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _span(ends: Range) -> str:
    low, high = (f"{end:.2f}" for end in ends)
    return low if low == high else f"{low}-{high}"


def _less(gain: float) -> str:
    return f"{abs(gain):.3g} {'less' if gain >= 0 else 'more'} error"


def _gain_or_loss(gain: float) -> str:
    return "gain" if gain >= 0 else "loss"
