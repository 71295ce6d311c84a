"""A study on data of your own: tensors, or any map-style torch data set.

One sees a data set made from arrays of features, the same one from two torch data sets, what the
checks say of labels that do not fit, and a study that trains on it and is opened again.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

import wireloom as wl


def main(folder: str | None = None) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1200, 20, generator=draw)
    y = x[:, :4].argmax(1)  # which of the first four features is the largest
    data = wl.data.from_tensors(x[:900], y[:900], x[900:], y[900:], name="largest")
    print(f"{data.name}: image {data.image}, {data.classes} classes")

    same = wl.data.from_torch(TensorDataset(x[:900], y[:900]), TensorDataset(x[900:], y[900:]))
    print(f"from torch data sets, equal: {torch.equal(data.train_images, same.train_images)}")
    try:
        wl.data.from_tensors(x[:900], y[:800], x[900:], y[900:])
    except wl.InvalidValue as error:
        print(f"refused: {error}")

    out = Path(folder or tempfile.mkdtemp(prefix="own-")) / "largest"
    plan = wl.Plan(
        data="largest",  # a name only, since the data is given below
        wirings=wl.plan_wirings(6, nodes=8, sample="plane"),
        seeds=(1, 2),
        width=32,
        stem=32,
        recipe=wl.Recipe(epochs=5, batch=64),
    )
    study = wl.Study.create(out, plan, dataset=data)
    study.run()
    study.close()
    again = wl.Study.open(out, dataset=data)
    errors = again.frame().groupby("wiring")["error"].mean()
    print(f"opened again: {again.status().done} networks, mean errors {errors.round(1).to_dict()}")
    print(f"the page: {again.report()}")
    again.close()


if __name__ == "__main__":
    main(*sys.argv[1:2])
