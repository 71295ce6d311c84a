"""A small study: many wirings, several seeds, one budget; then where they do best, and the page.

One sees 63 networks trained on handwritten digits, the table of their errors, the verdict in
plain words (digits are too easy to tell wirings apart, and it says so), and the path of a page to
open in a browser. Run again with the same folder, it has nothing left to train.
"""

import sys
import tempfile
from pathlib import Path

import wireloom as wl


def main(folder: str | None = None) -> None:
    out = Path(folder or tempfile.mkdtemp(prefix="study-")) / "digits"
    plan = wl.Plan(
        data="digits",
        wirings=wl.plan_wirings(20, nodes=16, sample="plane"),  # and the dense baseline, id -1
        seeds=(1, 2, 3),
        width=32,
        stem=32,
        recipe=wl.Recipe(epochs=5),
    )
    study = wl.Study.create(out, plan)
    status = study.status()
    print(f"{status.done} of {status.runs} networks trained before")
    status = study.run(wl.Local(workers=1))
    print(f"{status.done} of {status.runs} networks trained now")

    frame = study.frame()
    means = frame.groupby("wiring")[["C", "L", "width", "error"]].mean().sort_values("error")
    print(means.head(3).round(3).to_string())

    spot = study.sweet_spot()
    print(*spot.verdict(), sep="\n")
    print(f"reliability {spot.reliability}, honest gain {spot.honest_gain}")
    print(f"the page: {study.report()}")
    study.close()


if __name__ == "__main__":
    main(*sys.argv[1:2])
