"""Tell structure from density: wirings of the same degrees whose clustering differs, trained.

One sees a random wiring of 32 nodes steered by swaps of edges to four values of the clustering
coefficient C. Degrees, density and cost stay the same (the width divides by the nodes), so what
changes in the error is not density's doing. Each is trained on the digits with a few seeds, all
networks at once.
"""

import wireloom as wl


def main() -> None:
    start = wl.expander(nodes=32, degree=6, seed=0)
    targets = (0.05, 0.2, 0.35, 0.5)
    wirings = [wl.steer(start, clustering=c, tolerance=0.02, seed=1) for c in targets]

    data = wl.data.load("digits")
    seeds = range(4)
    fixed = {"width": 96, "stem": 96, "budget": "none"}
    pop = wl.population("mlp", wirings, seeds=seeds, image=data.image, **fixed)
    assert len({wl.cost(pop[i]) for i in range(len(pop))}) == 1  # one cost for all
    errors = wl.fit(pop, data, wl.Recipe(epochs=5)).error.view(len(wirings), len(seeds))

    print(f"{'C':>6s} {'L':>6s} {'gap':>6s} {'density':>8s} {'error %':>8s} {'sd':>5s}")
    for w, gap, error in zip(wirings, wl.measure(wirings, "spectral_gap"), errors, strict=True):
        print(
            f"{w.clustering:6.3f} {w.path_length:6.3f} {gap:6.3f} {w.density:8.3f} "
            f"{error.mean():8.2f} {error.std():5.2f}"
        )

    try:
        wl.steer(start, clustering=0.9)
    except wl.OutOfReach as error:
        print(f"out of reach: the closest to C 0.9 has {error.closest.clustering:.3f}")


if __name__ == "__main__":
    main()
