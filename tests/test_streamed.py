"""Pictures read as they are needed: cuts, colours, order, damage, threads."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wireloom import data
from wireloom.base import InvalidValue, permutation
from wireloom.data import batches, crops, evaluation_batches, streamed
from wireloom.data.crops import look, scaled
from wireloom.models import build
from wireloom.training import Recipe, fit

SIZE, RESIZE = 12, 14
ALL = crops.AUGMENTATIONS


def picture(width: int, height: int, seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    smooth = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several sizes and both orientations: 3 classes of 7, tested by 3 each."""
    folder = tmp_path_factory.mktemp("pictures")
    for part, count in (("train", 7), ("val", 3)):
        for number, name in enumerate(("ant", "bee", "cow")):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = picture(20 + 3 * i, 31 - 2 * i, 100 * number + i)
                Image.fromarray(pixels).save(folder / part / name / f"{i}.png")
    return folder


def stream(root: Path, **settings: int) -> data.Streamed:
    return data.stream_folder(root, SIZE, resize=RESIZE, **settings)


def walk(source: data.Samples, augment: tuple[str, ...] = ALL, **change):
    settings = {"batch": 6, "data_seed": 3, "epoch": 1, "augment": augment} | change
    return list(batches(source, **settings))


def antialiased(pixels: np.ndarray, box: tuple[float, ...], size: tuple[int, int]) -> np.ndarray:
    """A part of a picture scaled by triangles, in float64: the oracle of pillow's resize."""

    def weights(low: float, high: float, count: int, limit: int) -> np.ndarray:
        scale = (high - low) / count
        reach = max(scale, 1.0)
        middle = low + (np.arange(count) + 0.5) * scale
        places = np.arange(limit) + 0.5
        found = np.maximum(0, 1 - np.abs(places - middle[:, None]) / reach)
        return found / found.sum(1, keepdims=True)

    left, top, right, bottom = box
    across = weights(left, right, size[0], pixels.shape[1])
    down = weights(top, bottom, size[1], pixels.shape[0])
    return np.einsum("yr,xc,rck->yxk", down, across, pixels.astype(np.float64))


def normalised(levels: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """[h, w, 3] levels to [3*h*w], as a network reads them."""
    return (((levels / 255 + shift) - crops.MEAN) / crops.DEVIATION).transpose(2, 0, 1).ravel()


LEVEL = 1.01 / 255 / min(crops.DEVIATION)  # pillow rounds to levels, once each way


def test_training_pictures_are_cut_mirrored_and_lit_as_drawn(root: Path) -> None:
    source = stream(root)
    order = permutation(source.train_count, "order", 3, 1)
    for step, (x, labels) in enumerate(walk(source)):
        assert x.shape == (3 * SIZE * SIZE, 6)
        assert (x.dtype, x.is_contiguous()) == (torch.float32, True)
        for place, index in enumerate(order[6 * step : 6 * step + 6]):
            name, number = divmod(int(index), 7)
            assert labels[place] == name
            file = root / "train" / ("ant", "bee", "cow")[name] / f"{number}.png"
            pixels = np.asarray(Image.open(file))
            seen = look(pixels.shape[1], pixels.shape[0], ALL, 3, 1, int(index))
            assert seen.box is not None
            levels = antialiased(pixels, seen.box, (SIZE, SIZE))
            want = normalised(levels[:, ::-1] if seen.flip else levels, seen.shift)
            assert np.abs(x[:, place].numpy() - want).max() <= LEVEL


def test_test_pictures_are_scaled_and_cut_about_the_centre(root: Path) -> None:
    source = stream(root)
    found = list(evaluation_batches(source, 4))
    assert [x.shape[1] for x, _ in found] == [4, 4, 1]
    assert torch.cat([labels for _, labels in found]).tolist() == [0] * 3 + [1] * 3 + [2] * 3
    x = torch.cat([x for x, _ in found], 1)
    for index in range(9):
        pixels = np.asarray(Image.open(source.test.path(index)))
        height, width = pixels.shape[:2]
        new = scaled(width, height, RESIZE)
        assert min(new) == RESIZE
        levels = antialiased(pixels, (0, 0, width, height), new)
        left, top = (new[0] - SIZE) // 2, (new[1] - SIZE) // 2
        want = normalised(levels[top : top + SIZE, left : left + SIZE], np.zeros(3))
        assert np.abs(x[:, index].numpy() - want).max() <= LEVEL


def test_without_augmentation_training_pictures_are_cut_as_test_pictures(root: Path) -> None:
    source = stream(root)
    swapped = data.Streamed(
        source.test, source.train, size=SIZE, resize=RESIZE, workers=1, name="swapped"
    )
    [(x, labels)] = walk(source, (), batch=21)
    [(y, theirs)] = evaluation_batches(swapped, 21)
    order = torch.from_numpy(permutation(21, "order", 3, 1))
    assert torch.equal(x, y[:, order])
    assert torch.equal(labels, theirs[order])


@pytest.mark.parametrize("change", [{"workers": 1}, {"workers": 5}])
def test_bits_do_not_depend_on_threads(root: Path, change: dict[str, int]) -> None:
    for (x, a), (y, b) in zip(walk(stream(root, workers=2)), walk(stream(root, **change)),
                              strict=True):  # fmt: skip
        assert torch.equal(x, y)
        assert torch.equal(a, b)


def test_bits_do_not_depend_on_the_batch_the_first_step_or_the_share(root: Path) -> None:
    source = stream(root)
    whole = torch.cat([x for x, _ in walk(source, batch=3)], 1)
    assert torch.equal(torch.cat([x for x, _ in walk(source, batch=7)], 1), whole)
    assert torch.equal(torch.cat([x for x, _ in walk(source, batch=3, start=4)], 1), whole[:, 12:])
    halves = [walk(source, batch=6, share=(part, 2)) for part in range(2)]
    joined = torch.cat([x for pair in zip(*halves, strict=True) for x, _ in pair], 1)
    assert torch.equal(joined, whole[:, :18])
    other = torch.cat([x for x, _ in walk(source, batch=3, epoch=2)], 1)
    assert not torch.equal(other, whole)


@settings(max_examples=200, deadline=None)
@given(width=st.integers(1, 900), height=st.integers(1, 900), index=st.integers(0, 10**6))
def test_cuts_lie_within_the_picture(width: int, height: int, index: int) -> None:
    box = look(width, height, ALL, 0, 0, index).box
    assert box is not None
    left, top, right, bottom = box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    if min(width, height) >= 300 and max(width, height) <= 2 * min(width, height):
        share = (right - left) * (bottom - top) / (width * height)
        aspect = (right - left) / (bottom - top)
        assert 0.078 <= share <= 1.0
        assert 0.74 <= aspect <= 1.35


def test_cuts_are_spread_as_said() -> None:
    count = 4000
    seen = [look(400, 400, ALL, 1, 0, index) for index in range(count)]
    boxes = np.array([s.box for s in seen], np.float64)
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    small = wide * high < 0.3 * 160000  # all such fit, of the others those with share <= aspect
    shares = (wide * high / 160000)[small]
    fit_at_once = ((1 - 3 / 4) / np.log(4 / 3) - 0.08) / 0.92
    assert np.mean(small) == pytest.approx((0.3 - 0.08) / 0.92 / fit_at_once, abs=0.02)
    assert shares.mean() == pytest.approx(0.19, abs=0.005)
    assert np.log(wide / high).mean() == pytest.approx(0, abs=0.01)
    assert np.log(wide / high)[small].std() == pytest.approx(2 * np.log(4 / 3) / 12**0.5, abs=0.01)
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    assert middle.mean() == pytest.approx(200, abs=3)
    assert np.mean([s.flip for s in seen]) == pytest.approx(0.5, abs=0.03)
    shifts = np.array([s.shift for s in seen])
    want = crops.COMPONENTS @ np.diag((0.1 * crops.VARIANCES) ** 2) @ crops.COMPONENTS.T
    assert np.cov(shifts.T) == pytest.approx(want, rel=0.1, abs=1e-6)
    assert look(400, 400, ("flip",), 1, 0, 0).box is None
    assert not look(400, 400, ("random-crop",), 1, 0, 0).shift.any()


def test_a_jpeg_decoded_at_a_fraction_of_its_size_looks_the_same(tmp_path: Path) -> None:
    pixels = picture(400, 300, 5)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    for box in ((0, 0, 400, 300), (37, 21, 250, 190), (300, 200, 320, 215)):
        with Image.open(tmp_path / "a.jpg") as file:
            found = streamed._cut(file, box, SIZE)
        want = antialiased(pixels, box, (SIZE, SIZE))
        assert np.abs(found - want).mean() < 2.0  # levels of 256


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    kind = "tif" if mode == "CMYK" else "png"
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            made = Image.fromarray(picture(20, 20, len(name))).convert(mode)
            made.save(tmp_path / part / name / f"x.{kind}")
    x, _ = next(evaluation_batches(stream(tmp_path), 2))
    assert x.shape == (3 * SIZE * SIZE, 2)
    if mode in ("L", "1", "LA"):
        levels = x.reshape(3, -1) * torch.tensor(crops.DEVIATION)[:, None]
        levels = levels + torch.tensor(crops.MEAN)[:, None]
        torch.testing.assert_close(levels[0], levels[1], rtol=0, atol=1e-6)


def damaged(root: Path, where: str) -> Path:
    file = root / where
    file.write_bytes(file.read_bytes()[:60])
    return file


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of pictures to be damaged."""
    for part in ("train", "val"):
        for number, name in enumerate(("ant", "bee")):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(6):
                made = Image.fromarray(picture(20, 20, number + i))
                made.save(tmp_path / part / name / f"{i}.jpg")
    return tmp_path


def test_a_damaged_picture_is_named_when_it_is_met_or_looked_for(own: Path) -> None:
    stream(own).check()
    said: list[tuple[int, int]] = []
    stream(own).check(lambda done, total: said.append((done, total)))
    assert said[-1] == (24, 24)
    file = damaged(own, "train/bee/3.jpg")
    for work in (lambda: walk(stream(own), batch=4), lambda: stream(own).check()):
        with pytest.raises(InvalidValue) as error:
            work()
        assert str(file) in str(error.value)
        assert "must be a whole, readable picture" in str(error.value)


def test_no_thread_outlives_the_walk(own: Path) -> None:
    def reading() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name.startswith("pictures")]

    going = batches(stream(own, workers=3), batch=2, data_seed=0, epoch=0, augment=ALL)
    next(going)
    assert reading()
    going.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert not reading()
    damaged(own, "train/ant/0.jpg")
    with pytest.raises(InvalidValue):
        walk(stream(own))
    assert not reading()


def test_few_batches_are_read_ahead(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = streamed.opened

    def counted(path: str, where: str):
        read.append(path)
        return plain(path, where)

    monkeypatch.setattr(streamed, "opened", counted)
    going = batches(stream(own), batch=2, data_seed=0, epoch=0, augment=())
    for taken in range(1, 4):
        next(going)
        time.sleep(0.05)
        assert len(read) <= 2 * (taken + streamed.AHEAD)
    going.close()  # pyright: ignore[reportAttributeAccessIssue]


def test_folders_and_numbers_that_are_wrong(own: Path) -> None:
    with pytest.raises(InvalidValue, match="`resize` must be at least `size`, 12; got 8"):
        data.stream_folder(own, 12, resize=8)
    with pytest.raises(InvalidValue, match="`size`"):
        data.stream_folder(own, 0)
    with pytest.raises(InvalidValue, match=r"known names; got 'crop'"):
        walk(stream(own), ("crop",))
    (own / "val" / "bees").mkdir()
    with pytest.raises(InvalidValue, match=r"must be among those of train; got 'bees'.*'bee'"):
        stream(own)
    (own / "val" / "bees").rename(own / "train" / "wasp")
    with pytest.raises(InvalidValue, match=r"wasp' must hold pictures .* got none"):
        stream(own)


def test_the_digest_is_of_names_classes_and_sizes(own: Path) -> None:
    first = stream(own).digest()
    assert stream(own, workers=3).digest() == first
    assert data.stream_folder(own, SIZE, resize=RESIZE + 1).digest() != first
    (own / "train" / "ant" / "0.jpg").rename(own / "train" / "ant" / "00.jpg")
    assert stream(own).digest() != first


def test_a_limit_keeps_a_subset_of_every_class(root: Path) -> None:
    source = data.stream_folder(root, SIZE, limit=6, test_limit=3)
    assert (source.train_count, source.test_count) == (6, 3)
    assert np.bincount(source.train.labels).tolist() == [2, 2, 2]
    assert source.image == (3, SIZE, SIZE)
    assert source.resize == 14  # 12 x 256 / 224


def test_a_network_trains_on_streamed_pictures_and_goes_on(root: Path, tmp_path: Path) -> None:
    source = stream(root)
    recipe = Recipe(epochs=2, batch=6, lr=0.02)

    def made():
        return build("cnn6", None, image=source.image, classes=3, width=4, seed=0)

    whole, resumed = made(), made()
    expected = fit(whole, source, recipe)
    assert torch.isfinite(expected.test_loss).all()

    class Stop(Exception):
        pass

    def stop(training) -> None:
        if (training.epoch, training.step) == (1, 2):
            raise Stop

    with pytest.raises(Stop):
        fit(made(), source, recipe, checkpoint=tmp_path / "s", every=0, watch_step=stop)
    result = fit(resumed, source, recipe, checkpoint=tmp_path / "s", every=0)
    assert torch.equal(result.test_loss, expected.test_loss)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
