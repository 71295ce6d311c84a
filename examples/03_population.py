"""Thirty networks trained at once, and each of them as if it had been alone.

One sees ten wirings with three seeds each trained on handwritten digits as one population; one
of them taken out as a module of its own; the same one trained alone, to the same error; and a
second population whose members differ in their learning rate only.
"""

import torch

import wireloom as wl


def main() -> None:
    data = wl.data.load("digits")
    made = {"classes": data.classes, "image": data.image, "width": 64, "stem": 64}
    wirings = wl.sample_plane(nodes=16, count=10)
    recipe = wl.Recipe(epochs=5)

    pop = wl.population("mlp", wirings, seeds=range(3), **made)
    result = wl.fit(pop, data, recipe)
    print(f"{len(pop)} networks in {result.seconds:.1f} s")
    best = int(result.error.argmin())
    member = pop.members[best]
    print(f"best: number {best}, {member.wiring!r}, error {result.error[best]:.1f} %")

    net = pop[best].eval()  # a torch module of its own
    x = wl.data.normalise(data.test_images, data.mean, data.std)
    wrong = (net(x).argmax(1) != data.test_labels).float().mean()
    print(f"taken out and evaluated: {100 * float(wrong):.1f} %")

    alone = wl.build("mlp", member.wiring, seed=member.seed, **made)
    error = wl.fit(alone, data, recipe).error
    print(f"trained alone: {float(error):.1f} %")

    rates = [0.4, 0.1, 0.025, 0.00625, 0.0]
    twins = wl.population("mlp", [member.wiring] * len(rates), seeds=[member.seed], **made)
    errors = wl.fit(twins, data, recipe, lr=torch.tensor(rates)).error
    for rate, e in zip(rates, errors.tolist(), strict=True):
        print(f"learning rate {rate:<8g} error {e:5.1f} %")


if __name__ == "__main__":
    main()
