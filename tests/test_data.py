"""Data sets: what each loader returns and refuses, and how an epoch walks a data set."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wireloom import data
from wireloom.base import InvalidValue, WireloomError, permutation
from wireloom.data import cifar10, dataset, photographs, selection, transforms

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10"
quick = settings(deadline=None, max_examples=30)


def small(count: int = 20, shape: tuple[int, int, int] = (3, 6, 5), classes: int = 4):
    """A data set of random float images; the caller may replace what it wants wrong."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count + 8, *shape, generator=generator)
    labels = torch.arange(count + 8) % classes
    return data.Dataset(
        name="small",
        train_images=images[:count],
        train_labels=labels[:count],
        test_images=images[count:],
        test_labels=labels[count:],
        classes=classes,
        mean=torch.full((shape[0],), 0.25),
        std=torch.full((shape[0],), 2.0),
    )


def same(one: data.Dataset, other: data.Dataset) -> bool:
    return all(torch.equal(getattr(one, x), getattr(other, x)) for x in dataset.TENSORS)


def refuses(*words: str):
    """A context that wants one InvalidValue sentence with all the words in it."""

    class Check:
        def __enter__(self):
            self.context = pytest.raises(InvalidValue)
            self.info = self.context.__enter__()

        def __exit__(self, *error):
            caught = self.context.__exit__(*error)
            text = str(self.info.value)
            assert "\n" not in text
            for word in words:
                assert word in text, text
            return caught

    return Check()


# --- the value


def test_a_data_set_knows_its_image_shape_and_hashes_by_identity():
    value = small()
    assert value.image == (3, 6, 5)
    assert len({value, small()}) == 2
    assert value.augment == ()
    assert value.note == ""
    assert same(value.to("cpu"), value)


def bad(field: str, value: object) -> dict[str, object]:
    return {field: value}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (bad("classes", 1), ("`classes`", ">= 2", "1")),
        (bad("classes", 3), ("`train_labels`", "0..2", "got 3")),
        (bad("train_images", torch.zeros(20, 3, 6, 5, dtype=torch.float64)), ("`train_images`",)),
        (bad("train_images", torch.zeros(20, 90)), ("`train_images`", "[20, 90]")),
        (bad("train_images", np.zeros((20, 3, 6, 5))), ("`train_images`", "tensor", "ndarray")),
        (bad("train_images", torch.zeros(0, 3, 6, 5)), ("`train_images`", "empty")),
        (bad("test_images", torch.zeros(0, 3, 6, 5)), ("`test_images`", "empty")),
        (bad("test_images", torch.zeros(8, 3, 5, 6)), ("`test_images`", "(3, 5, 6)")),
        (bad("test_images", torch.zeros(8, 3, 6, 5, dtype=torch.uint8)), ("`test_images`", "type")),
        (bad("train_labels", torch.zeros(20, dtype=torch.int64)), ("two classes", "only 0")),
        (bad("train_labels", torch.zeros(20)), ("`train_labels`", "int64", "float32")),
        (bad("train_labels", torch.arange(19) % 4), ("`train_labels`", "20", "19")),
        (bad("test_labels", torch.arange(8) - 1), ("`test_labels`", "0..3", "got -1")),
        (bad("mean", torch.zeros(2)), ("`mean`", "[3]", "[2]")),
        (bad("mean", torch.tensor([0.0, torch.nan, 0.0])), ("`mean`", "finite", "nan")),
        (bad("std", torch.tensor([1.0, 0.0, 1.0])), ("`std`", "above 0", "got 0.0")),
        (bad("std", torch.ones(3, dtype=torch.float64)), ("`std`", "float32", "float64")),
        (bad("augment", ("flop",)), ("`augment`", "did you mean 'flip'")),
        (bad("augment", ("flip", "flip")), ("`augment`", "once")),
        (bad("augment", "flip"), ("`augment`", "tuple", "'flip'")),
    ],
)
def test_a_broken_data_set_is_refused(change, words):
    with refuses(*words):
        dataclasses.replace(small(), **change)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("part", ["train", "test"])
def test_data_that_are_not_finite_are_refused(part, value):
    images = getattr(small(), f"{part}_images").clone()
    images[5, 1, 2, 3] = value
    with refuses(f"`{part}_images`", "finite", "image 5"):
        dataclasses.replace(small(), **{f"{part}_images": images})


def test_flat_features_take_no_augmentation():
    with refuses("`augment`", "flat features"):
        dataclasses.replace(small(shape=(9, 1, 1)), augment=("crop",))


# --- stratified choice and moments


@quick
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), share=st.floats(0, 1), key=st.text()
)
def test_every_beginning_of_a_stratified_order_holds_the_classes_in_their_shares(sizes, share, key):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = selection.stratified_order(labels, key)
    assert sorted(order) == list(range(len(labels)))
    count = round(share * len(labels))
    got = np.bincount(labels[order[:count]], minlength=len(sizes))
    want = count * np.array(sizes) / len(labels)
    # each class is within one of the cut's share, and the cut within one class's step a class
    assert (abs(got - want) <= 1 + len(sizes) * np.array(sizes) / len(labels)).all()


def test_a_smaller_limit_is_a_part_of_a_larger_one():
    labels = np.arange(100) % 10
    few, many = selection.choose(labels, 20), selection.choose(labels, 50)
    assert set(few) < set(many)
    assert (np.bincount(labels[few]) == 2).all()
    assert (np.diff(many) > 0).all()
    assert len(selection.choose(labels, 1000)) == 100
    assert len(selection.choose(labels, None)) == 100


@quick
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 30))
def test_moments_agree_with_numpy_for_both_types(seed, channels, count):
    images = np.random.default_rng(seed).integers(0, 256, (count, channels, 3, 2), np.uint8)
    images[:, 0] = 77
    for values in (images, images.astype(np.float32)):
        mean, std = selection.moments(torch.from_numpy(values))
        np.testing.assert_allclose(mean, images.mean((0, 2, 3)), rtol=1e-6)
        np.testing.assert_allclose(std[1:], images.std((0, 2, 3))[1:], rtol=1e-5)
        assert std[0] == 1


def test_a_constant_channel_that_no_float_holds_exactly_is_only_centred():
    mean, std = selection.moments(torch.full((7, 1, 3, 3), 0.1))
    assert std.tolist() == [1.0]
    assert data.normalise(torch.full((1, 1, 1, 1), 0.1), mean, std).item() == 0.0


# --- load


def test_digits():
    digits = data.load("digits")
    assert digits.name == "digits"
    assert digits.classes == 10
    assert digits.train_images.shape == (1297, 1, 8, 8)
    assert digits.test_images.shape[0] == 500
    assert digits.train_images.dtype == torch.uint8
    assert int(digits.train_images.max()) == 16
    everything = torch.cat([digits.train_images, digits.test_images])
    labels = torch.cat([digits.train_labels, digits.test_labels])
    shares = digits.test_labels.bincount() / labels.bincount()
    assert ((shares - 500 / 1797).abs() < 0.01).all()
    values = everything.double().flatten(1)
    assert len(values.unique(dim=0)) == 1797, "no digit is in both parts"
    torch.testing.assert_close(digits.mean[0].double(), digits.train_images.double().mean())
    assert same(digits, data.load("digits"))


def test_a_limit_keeps_a_stratified_subset_and_the_scale():
    whole, part = data.load("digits"), data.load("digits", limit=100, test_limit=50)
    assert len(part.train_images) == 100
    assert len(part.test_images) == 50
    assert ((part.train_labels.bincount() - 10).abs() <= 1).all()
    assert torch.equal(part.mean, whole.mean)
    assert torch.equal(part.std, whole.std)
    assert same(part, data.load("digits", limit=100, test_limit=50))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("digit", ("`spec`", "'digit'", "did you mean 'digits'")),
        ("cifar:/there", ("did you mean 'cifar10'",)),
        ("mnist", ("`spec`", "'mnist'", "known: cifar10, digits, folder, patches")),
        ("", ("`spec`", "''")),
        ("cifar10", ("cifar10:PATH", "'cifar10'")),
        ("folder:", ("folder:PATH", "'folder:'")),
        ("digits:here", ("digits", "without a path")),
    ],
)
def test_an_unknown_spec_is_refused(spec, words):
    with refuses(*words):
        data.load(spec)


@pytest.mark.parametrize("name", ["limit", "test_limit"])
@pytest.mark.parametrize("value", [0, -3, 2.5, "10", True])
def test_a_bad_limit_is_refused(name, value):
    with refuses(f"`{name}`", ">= 1", repr(value)):
        data.load("digits", **{name: value})


def test_a_limit_of_one_leaves_one_class():
    with refuses("`train_labels`", "two classes"):
        data.load("digits", limit=1)


# --- patches


def places(size: int, **counts: int) -> list[list[set[tuple[int, int, int]]]]:
    """The pixels of each patch of each part."""
    return [
        [{(k, r + i, c + j) for i in range(size) for j in range(size)} for k, r, c in part.tolist()]
        for part in data.patch_places(size, **counts)
    ]


def test_no_training_patch_shares_a_pixel_with_a_test_patch():
    train, test = data.patch_places()
    assert train.shape == (8000, 3)
    assert test.shape == (4000, 3)
    for photograph in range(len(data.PHOTOGRAPHS)):
        a = train[train[:, 0] == photograph][:, None, 1:]
        b = test[test[:, 0] == photograph][None, :, 1:]
        apart = np.abs(a - b).max(-1)  # [train, test]: 12 or more is no overlap
        assert apart.min() >= 12 + 12 // 3, "test patches also keep a margin"


@pytest.mark.parametrize("size", [4, 5, 12, 31, 47])
def test_patches_of_any_size_lie_within_their_photographs_and_apart(size):
    train, test = places(size, train=64, test=32, seed=3)
    assert not set().union(*train) & set().union(*test)
    pictures = photographs._installed()
    for k, row, column in set().union(*train, *test):
        assert row < pictures[k].shape[0]
        assert column < pictures[k].shape[1]


def test_patches_are_balanced_cut_from_where_they_say_and_the_same_each_time():
    patches = data.patches(train=330, test=100)
    assert patches.classes == len(data.PHOTOGRAPHS) == 16
    assert patches.train_images.dtype == torch.uint8
    assert patches.image == (1, 12, 12)
    for labels, count in ((patches.train_labels, 330), (patches.test_labels, 100)):
        numbers = labels.bincount(minlength=16)
        assert numbers.sum() == count
        assert numbers.max() - numbers.min() <= 1
    train, _ = data.patch_places(train=330, test=100)
    assert len(np.unique(train, axis=0)) == 330
    k, row, column = train[217]
    cut = photographs._installed()[k][row : row + 12, column : column + 12]
    assert np.array_equal(cut, patches.train_images[217, 0].numpy())
    assert int(patches.train_labels[217]) == k
    assert same(patches, data.patches(train=330, test=100))
    other = data.patches(train=330, test=100, seed=1)
    assert not torch.equal(other.train_images, patches.train_images)


def test_the_default_patches_load_by_name():
    patches = data.load("patches", limit=1600)
    assert patches.train_images.shape == (1600, 1, 12, 12)
    assert len(patches.test_images) == 4000
    assert (patches.train_labels.bincount() == 100).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 3}, ("`size`", ">= 4", "3")),
        ({"size": 48}, ("`size`", "4..47", "48")),
        ({"train": 1}, ("`train`", ">= 2", "1")),
        ({"test": 0}, ("`test`", ">= 1", "0")),
        ({"train": 10**9}, ("`train`", "page.png", "1000000000")),
        ({"seed": 0.5}, ("`seed`", "0.5")),
    ],
)
def test_bad_arguments_of_patches_are_refused(arguments, words):
    with refuses(*words):
        data.patches(**arguments)


def test_missing_photographs_are_named(tmp_path):
    for name in data.PHOTOGRAPHS:
        if name not in ("brick.png", "retina.jpg"):
            (tmp_path / name).touch()
    with pytest.raises(WireloomError, match=r"scikit-image.*missing.*: brick\.png, retina\.jpg$"):
        photographs.read_photographs(tmp_path)


# --- CIFAR-10


def picture(seed: int, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> Image.Image:
    width, height = size
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def write_parquet(file: Path, contents: list, labels: list, column: str = "img") -> None:
    cells = [{"bytes": content, "path": None} for content in contents]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({column: pa.array(cells, kind), "label": labels}), file)


def parquet_folder(folder: Path, kind: str = "PNG", column: str = "img") -> Path:
    for part, count in (("train", 12), ("test", 5)):
        contents = [encoded(picture(row), kind) for row in range(count)]
        write_parquet(folder / f"{part}.parquet", contents, [k % 4 for k in range(count)], column)
    return folder


@pytest.mark.parametrize("column", ["img", "image"])
def test_cifar10_from_parquet(tmp_path, column):
    value = data.load(f"cifar10:{parquet_folder(tmp_path, column=column)}")
    assert value.name == "cifar10"
    assert value.classes == 10
    assert value.image == (3, 32, 32)
    assert value.train_images.dtype == torch.uint8
    want = np.asarray(picture(7)).transpose(2, 0, 1)
    assert np.array_equal(value.train_images[7].numpy(), want)
    assert value.train_labels.tolist() == [k % 4 for k in range(12)]
    assert value.augment == ("flip", "crop")
    assert value.note == ""
    torch.testing.assert_close(value.mean, torch.tensor([125.3, 123.0, 113.9]))
    torch.testing.assert_close(value.std, torch.tensor([63.0, 62.1, 66.7]))


def test_cifar10_from_jpeg_says_so(tmp_path):
    value = data.load(f"cifar10:{parquet_folder(tmp_path, 'JPEG')}", limit=4, test_limit=2)
    assert "JPEG" in value.note
    assert len(value.train_images) == 4
    assert len(value.test_images) == 2


def test_pictures_may_also_lie_bare_in_their_column(tmp_path):
    for part in ("train", "test"):
        contents = pa.array([encoded(picture(row)) for row in range(4)], pa.binary())
        table = pa.table({"img": contents, "label": [0, 1, 2, 3]})
        pq.write_table(table, tmp_path / f"{part}.parquet")
    assert len(data.load(f"cifar10:{tmp_path}").train_images) == 4


def binary_folder(folder: Path) -> tuple[Path, np.ndarray]:
    """Six batches of four rows, and the rows: uint8 [24, 3073]."""
    folder.mkdir(exist_ok=True)
    rows = np.random.default_rng(0).integers(0, 256, (24, 3073), np.uint8)
    rows[:, 0] = np.arange(24) % 10
    for place, name in enumerate((*cifar10.TRAIN_FILES, *cifar10.TEST_FILES)):
        rows[4 * place : 4 * place + 4].tofile(folder / name)
    return folder, rows


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_cifar10_from_binary_batches(tmp_path, inside):
    _, rows = binary_folder(tmp_path / inside)
    value = data.load(f"cifar10:{tmp_path}")
    assert value.train_labels.tolist() == rows[:20, 0].tolist()
    assert np.array_equal(value.train_images.numpy(), rows[:20, 1:].reshape(20, 3, 32, 32))
    assert np.array_equal(value.test_images.numpy(), rows[20:, 1:].reshape(4, 3, 32, 32))
    assert value.note == ""
    part = data.load(f"cifar10:{tmp_path}", limit=7)
    kept = selection.choose(rows[:20, 0].astype(np.int64), 7)
    assert torch.equal(part.train_images, value.train_images[torch.from_numpy(kept)])


@pytest.mark.skipif(not (CIFAR10 / "test.parquet").is_file(), reason="no CIFAR-10 files here")
def test_the_real_cifar10():
    value = data.load(f"cifar10:{CIFAR10}", limit=500, test_limit=200)
    assert (value.train_labels.bincount() == 50).all()
    assert value.train_images.shape == (500, 3, 32, 32)
    assert "JPEG" in value.note
    features, _ = next(data.evaluation_batches(value, 200))
    assert abs(float(features.mean())) < 0.1
    assert abs(float(features.std()) - 1) < 0.1


def test_absent_cifar10_says_what_to_put_there(tmp_path):
    words = ("train.parquet", "data_batch_1.bin", "Hugging Face", "authors")
    with refuses(*words, "nowhere", "no folder"):
        data.load(f"cifar10:{tmp_path / 'nowhere'}")
    (tmp_path / "train.parquet").touch()
    with refuses(*words, "holds neither"):
        data.load(f"cifar10:{tmp_path}")


@pytest.mark.parametrize("size", [0, 3072, 3073 * 2 - 1])
def test_a_cut_binary_batch_is_named(tmp_path, size):
    binary_folder(tmp_path)
    (tmp_path / "data_batch_3.bin").write_bytes(bytes(size))
    with refuses("`data_batch_3.bin`", "3073", str(size)):
        data.load(f"cifar10:{tmp_path}")


def test_a_binary_label_out_of_range_is_named(tmp_path):
    _, rows = binary_folder(tmp_path)
    rows[1, 0] = 10
    rows[:4].tofile(tmp_path / "test_batch.bin")
    with refuses("test_batch.bin", "0..9", "got 10 in row 1"):
        data.load(f"cifar10:{tmp_path}")


def test_a_cut_parquet_file_is_named(tmp_path):
    file = parquet_folder(tmp_path) / "train.parquet"
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"not parquet"):
        file.write_bytes(damaged)
        with refuses("train.parquet", "whole Parquet file"):
            data.load(f"cifar10:{tmp_path}")


@pytest.mark.parametrize(
    ("contents", "labels", "words"),
    [
        ([b"\xff\xd8nonsense"], [1], ("row 0", "readable picture")),
        ([encoded(picture(0))[:500]], [1], ("row 0", "readable picture")),
        ([encoded(picture(0), "JPEG")[:700]], [1], ("row 0", "readable picture")),
        ([None], [1], ("row 0", "bytes", "none")),
        ([encoded(picture(0, (31, 32)))], [1], ("row 0", "32x32", "31x32")),
        ([encoded(picture(0, mode="L"))], [1], ("row 0", "colour", "grey")),
        ([encoded(picture(0))], [10], ("0..9", "got 10 in row 0")),
        ([encoded(picture(0))], [0.5], ("label", "integer", "double")),
        ([encoded(picture(0))] * 2, [0, None], ("label", "integer", "1 empty")),
        ([], pa.array([], pa.int64()), ("label", "at least one", "0 rows")),
    ],
)
def test_bad_rows_of_a_parquet_file_are_named(tmp_path, contents, labels, words):
    write_parquet(parquet_folder(tmp_path) / "test.parquet", contents, labels)
    with refuses("test.parquet", *words):
        data.load(f"cifar10:{tmp_path}")


def test_a_parquet_file_of_other_columns_is_refused(tmp_path):
    file = parquet_folder(tmp_path) / "test.parquet"
    pq.write_table(pa.table({"x": [1], "label": [0]}), file)
    with refuses("test.parquet", "img", "x, label"):
        data.load(f"cifar10:{tmp_path}")
    pq.write_table(pa.table({"img": ["a string"], "label": [0]}), file)
    with refuses("img", "encoded pictures", "string"):
        data.load(f"cifar10:{tmp_path}")


# --- folders


def picture_folder(root: Path, test: str = "test", mode: str = "RGB") -> Path:
    for part in ("train", test):
        for label, name in enumerate(("bird", "ant")):
            (root / part / name).mkdir(parents=True)
            for number in range(3):
                image = picture(10 * label + number, (7, 5), mode)
                image.save(root / part / name / f"{number}.png")
    return root


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_folder_of_pictures(tmp_path, test):
    root = picture_folder(tmp_path / "zoo", test)
    (root / "train" / ".cache").mkdir()
    (root / "train" / "ant" / "notes.txt").write_text("not a picture")
    value = data.load(f"folder:{root}")
    assert value.name == "zoo"
    assert value.classes == 2
    assert value.image == (3, 5, 7)
    assert value.train_labels.tolist() == [0, 0, 0, 1, 1, 1], "classes by name: ant, bird"
    want = np.asarray(picture(0, (7, 5))).transpose(2, 0, 1)
    assert np.array_equal(value.train_images[3].numpy(), want)
    np.testing.assert_allclose(value.mean, value.train_images.double().mean((0, 2, 3)), rtol=1e-6)
    assert len(data.load(f"folder:{root}", limit=4).train_images) == 4
    assert same(value, data.from_folder(str(root)))


def test_grey_pictures_have_one_channel_unless_some_are_coloured(tmp_path):
    root = picture_folder(tmp_path, mode="L")
    assert data.from_folder(root).image == (1, 5, 7)
    picture(0, (7, 5)).save(root / "train" / "ant" / "1.jpg")
    value = data.from_folder(root)
    assert value.image == (3, 5, 7)
    grey = value.train_images[0]
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])


def test_transparent_and_palette_pictures_become_colour(tmp_path):
    root = picture_folder(tmp_path)
    picture(0, (7, 5)).convert("RGBA").save(root / "train" / "ant" / "3.png")
    palette = picture(0, (7, 5)).convert("P")
    palette.save(root / "train" / "ant" / "4.png", transparency=bytes(range(256)))
    assert data.from_folder(root).image == (3, 5, 7)


def test_a_picture_of_another_size_is_named_or_fitted(tmp_path):
    root = picture_folder(tmp_path)
    picture(0, (8, 5)).save(root / "test" / "bird" / "7.png")
    with refuses("one size", "`size`", "7x5", "8x5", "test/bird/7.png"):
        data.from_folder(root)
    assert data.from_folder(root, size=4).image == (3, 4, 4)
    assert data.from_folder(root, 9).image == (3, 9, 9)


def test_fitting_cuts_about_the_centre(tmp_path):
    root = picture_folder(tmp_path)
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(root / "train" / "ant" / "0.png")
    assert (data.from_folder(root, size=10).train_images[0] == 200).all()


@pytest.mark.parametrize("damage", [b"", b"not a picture", "cut"])
def test_a_damaged_picture_is_named(tmp_path, damage):
    file = picture_folder(tmp_path) / "train" / "bird" / "2.png"
    file.write_bytes(file.read_bytes()[:60] if damage == "cut" else damage)
    with refuses("bird", "2.png", "readable picture"):
        data.from_folder(tmp_path)


def test_sixteen_bit_pictures_are_refused(tmp_path):
    file = picture_folder(tmp_path) / "train" / "bird" / "2.png"
    Image.fromarray(np.full((5, 7), 40000, np.uint16)).save(file)
    with refuses("2.png", "8 bits"):
        data.from_folder(tmp_path)


def test_folders_that_lack_something_are_refused(tmp_path):
    with refuses("`path`", "train/CLASS", "no folder train"):
        data.load(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "train").mkdir()
    with refuses("`path`", "no folder test or val"):
        data.from_folder(tmp_path)
    (tmp_path / "test").mkdir()
    with refuses("folder of pictures a class"):
        data.from_folder(tmp_path)
    (tmp_path / "train" / "ant").mkdir()
    with refuses("ant", "pictures", "none"):
        data.from_folder(tmp_path)


def test_a_class_that_only_the_test_part_has_is_refused(tmp_path):
    root = picture_folder(tmp_path)
    (root / "test" / "birds").mkdir()
    with refuses("'birds'", "did you mean 'bird'"):
        data.from_folder(root)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_bad_size_is_refused(tmp_path, size):
    with refuses("`size`", ">= 1", repr(size)):
        data.from_folder(tmp_path, size)


# --- the caller's own


def test_tensors_are_shared_and_others_converted():
    images, labels = torch.rand(10, 1, 4, 4), torch.arange(10) % 3
    value = data.from_tensors(images, labels, images[:3], labels[:3])
    assert value.name == "tensors"
    assert value.classes == 3
    assert value.train_images.data_ptr() == images.data_ptr()
    torch.testing.assert_close(value.mean[0], images.mean())
    torch.testing.assert_close(value.std[0], images.std(correction=0))
    flat = np.arange(40.0).reshape(10, 4)
    flat.setflags(write=False)
    features = data.from_tensors(flat, labels.numpy(), flat[::-1], labels.numpy()[::-1], 5, "rows")
    assert features.image == (4, 1, 1)
    assert features.classes == 5
    assert features.name == "rows"
    assert features.train_images.dtype == torch.float32
    assert torch.equal(features.test_images, features.train_images.flip(0))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, torch.rand(10, 4, 4), ("`train_images`", "[N, f]", "[10, 4, 4]")),
        (0, torch.rand(10, 4) + 1j, ("`train_images`", "real", "complex")),
        (0, torch.full((10, 4), torch.nan), ("`train_images`", "finite")),
        (0, np.full((10, 4), 1e300), ("`train_images`", "finite")),
        (0, torch.rand(0, 4), ("`train_images`", "empty")),
        (0, np.array([["a"]]), ("`train_images`", "numbers")),
        (1, torch.rand(10), ("`train_labels`", "integers", "float32")),
        (1, torch.zeros(10, dtype=torch.bool), ("`train_labels`", "integers", "bool")),
        (1, torch.zeros(10, dtype=torch.int32), ("`train_labels`", "two classes")),
        (1, torch.arange(9), ("`train_labels`", "10", "9")),
        (2, torch.rand(3, 5), ("`test_images`", "shape")),
        (3, torch.tensor([0, 1, -1]), ("`test_labels`", "got -1")),
    ],
)
def test_bad_tensors_are_refused(place, value, words):
    arguments = [torch.rand(10, 4), torch.arange(10) % 3, torch.rand(3, 4), torch.arange(3)]
    arguments[place] = value
    with refuses(*words):
        data.from_tensors(*arguments)


class Pairs(torch.utils.data.Dataset):
    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def test_torch_data_sets_of_every_kind_of_image():
    array = np.asarray(picture(0, (4, 3)))
    planes = torch.from_numpy(array.transpose(2, 0, 1).copy())
    for image in (Image.fromarray(array), array, planes):
        value = data.from_torch(
            Pairs((image, 0), (image, torch.tensor(1))), Pairs((image, np.int64(1)))
        )
        assert value.image == (3, 3, 4)
        assert value.name == "torch"
        assert torch.equal(value.train_images[1], planes)
        assert value.train_labels.tolist() == [0, 1]
        assert value.test_labels.tolist() == [1]
    row = torch.rand(6, requires_grad=True)
    assert data.from_torch([(row, 0), (row, 1)], [(row, 0)]).image == (6, 1, 1)
    grey = torch.rand(5, 6).bfloat16()
    assert data.from_torch([(grey, 0), (grey, 1)], [(grey, 0)]).image == (1, 5, 6)
    tensors = torch.utils.data.TensorDataset(torch.rand(4, 2, 3, 3), torch.arange(4))
    assert data.from_torch(tensors, tensors, "mine").name == "mine"


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (Stream(), ("`train`", "map-style", "Stream")),
        (iter(()), ("`train`", "map-style")),
        ([], ("`train`", "empty")),
        ([torch.rand(3, 2, 2)], ("`train`", "pairs", "item 0")),
        ([(torch.rand(2), 0.5)], ("`train`", "integer", "item 0")),
        ([(torch.rand(2), 10**30)], ("`train`", "integer", "item 0")),
        ([(torch.rand(2), 0), (torch.rand(3), 1)], ("`train`", "one shape", "item 1", "[3, 1, 1]")),
        ([("picture", 0)], ("`train`", "pillow", "item 0", "str")),
        ([(torch.rand(1, 2, 3, 4), 0)], ("`train`", "item 0", "4 dimensions")),
        ([(Image.new("F", (3, 3)), 0)], ("`train`", "item 0", "8 bits")),
        ([(torch.rand(2), 0), (torch.rand(2), 0)], ("`train_labels`", "two classes")),
    ],
)
def test_bad_torch_data_sets_are_refused(train, words):
    with refuses(*words):
        data.from_torch(train, [(torch.rand(2), 0)])


# --- normalisation and augmentation


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_normalise_is_the_formula_and_leaves_its_argument(kind):
    images = torch.randint(0, 256, (5, 3, 4, 4)).to(kind)
    before = images.clone()
    mean, std = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
    got = data.normalise(images, mean, std)
    assert torch.equal(got, (images.float() - mean[:, None, None]) / std[:, None, None])
    assert got.dtype == torch.float32
    assert torch.equal(images, before)


indexed = st.lists(st.integers(0, 5000), min_size=1, max_size=12)


@quick
@given(indices=indexed, seed=st.integers(0, 10**12), epoch=st.integers(0, 300))
def test_a_flip_twice_is_no_flip_and_a_flip_mirrors(indices, seed, epoch):
    images = torch.rand(len(indices), 2, 3, 5)
    once = data.augment(images, ("flip",), seed, epoch, indices)
    assert torch.equal(data.augment(once, ("flip",), seed, epoch, indices), images)
    for image, got in zip(images, once, strict=True):
        assert torch.equal(got, image) or torch.equal(got, image.flip(2))


@quick
@given(indices=indexed, seed=st.integers(0, 10**12), level=st.integers(1, 255))
def test_a_crop_is_a_window_of_the_padded_image(indices, seed, level):
    images = torch.randint(1, 256, (len(indices), 2, 5, 7), dtype=torch.uint8)
    images[0] = level
    got = data.augment(images, ["crop"], seed, 0, indices)
    assert got.dtype == torch.uint8
    for image, window in zip(images, got, strict=True):
        padded = torch.nn.functional.pad(image, (4, 4, 4, 4))
        windows = padded.unfold(1, 5, 1).unfold(2, 7, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
        assert len(windows) == 81
        assert (windows == window).flatten(1).all(1).any()
    assert set(got[0].unique().tolist()) <= {0, level}


def test_a_crop_leaves_what_is_far_from_the_edges_of_a_constant_image():
    constant = torch.full((200, 1, 12, 12), 3.0)
    got = data.augment(constant, ("crop",), 0, 0, range(200))
    assert (got[:, :, 4:8, 4:8] == 3).all()
    assert (got[:, :, 0, 0] == 0).any()


def test_a_crop_of_a_blank_image_is_blank():
    blank = torch.zeros(9, 1, 8, 8)
    assert torch.equal(data.augment(blank, ("crop", "flip"), 1, 2, range(9)), blank)


@quick
@given(
    order=st.permutations(list(range(10))),
    names=st.sampled_from([("flip",), ("crop",), ("flip", "crop"), ("crop", "flip")]),
    seed=st.integers(0, 99),
)
def test_a_sample_is_augmented_alike_in_any_company(order, names, seed):
    images = torch.rand(10, 1, 4, 6)
    together = data.augment(images, names, seed, 3, range(10))
    shuffled = data.augment(images[order], names, seed, 3, torch.tensor(order))
    assert torch.equal(shuffled, together[order])
    alone = data.augment(images[order[:1]], names, seed, 3, order[:1])
    assert torch.equal(alone[0], together[order[0]])


def test_augmentation_changes_with_seed_and_epoch_and_all_places_occur():
    drawn = transforms.draw(20000, ("flip", "crop"), 0, 0)
    assert drawn.flip is not None
    assert drawn.rows is not None
    assert drawn.columns is not None
    assert abs(float(drawn.flip.double().mean()) - 0.5) < 0.02
    places = (drawn.rows * 9 + drawn.columns).bincount(minlength=81)
    assert len(places) == 81
    assert places.min() > 180
    assert places.max() < 320
    for seed, epoch in ((1, 0), (0, 1)):
        other = transforms.draw(20000, ("crop",), seed, epoch)
        assert other.rows is not None
        assert not torch.equal(drawn.rows, other.rows)


def test_draws_are_the_same_on_every_machine():
    drawn = transforms.draw(8, ("flip", "crop"), 0, 0)
    assert [None if part is None else part.int().tolist() for part in vars(drawn).values()] == [
        [0, 1, 1, 1, 0, 1, 1, 0],
        [5, 5, 3, 7, 5, 4, 3, 3],
        [6, 7, 6, 8, 2, 2, 4, 2],
    ]
    train, test = data.patch_places(train=2, test=2)
    assert [train.tolist(), test.tolist()] == [
        [[0, 386, 168], [1, 77, 166]],
        [[0, 216, 264], [1, 343, 261]],
    ]
    assert selection.stratified_order(np.arange(8) // 4, "key").tolist() == [7, 3, 4, 0, 6, 1, 5, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": torch.rand(2, 5)}, ("`images`", "[2, 5]")),
        ({"images": torch.rand(2, 5, 1, 1)}, ("`augment`", "flat features")),
        ({"names": ("rotate",)}, ("`augment`", "'rotate'", "known: crop, flip")),
        ({"indices": [1]}, ("`indices`", "2 images")),
        ({"indices": [1, -1]}, ("`indices`", ">= 0")),
        ({"epoch": -1}, ("`epoch`", ">= 0", "-1")),
        ({"data_seed": "a"}, ("`data_seed`", "integer", "'a'")),
    ],
)
def test_bad_arguments_of_augment_are_refused(change, words):
    arguments = {
        "images": torch.rand(2, 1, 4, 4),
        "names": ("flip",),
        "data_seed": 0,
        "epoch": 0,
        "indices": [0, 1],
    }
    with refuses(*words):
        data.augment(**(arguments | change))


def test_no_images_and_no_names_are_fine():
    assert data.augment(torch.rand(0, 1, 4, 4), ("flip",), 0, 0, []).shape == (0, 1, 4, 4)
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(data.augment(images, (), 0, 0, [0, 1]), images)


# --- epochs


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("names", [(), ("flip", "crop")])
def test_batches_are_the_keyed_order_normalised_augmented_and_feature_major(
    monkeypatch, names, cached
):
    if not cached:
        monkeypatch.setattr(dataset, "CACHE_BYTES", 0)
    value = small(count=23)
    assert (value.train_features is not None) == cached
    order = torch.from_numpy(permutation(23, "order", 5, 2))
    found = list(data.batches(value, batch=4, data_seed=5, epoch=2, augment=names))
    assert len(found) == data.steps_per_epoch(value, 4) == 5, "three images are left out"
    for step, (features, labels) in enumerate(found):
        chosen = order[4 * step : 4 * step + 4]
        images = data.normalise(value.train_images[chosen], value.mean, value.std)
        images = data.augment(images, names, 5, 2, chosen)
        assert features.dtype == torch.float32
        assert features.is_contiguous()
        assert torch.equal(features, images.flatten(1).t())  # [c*h*w, B]
        assert torch.equal(labels, value.train_labels[chosen])


def test_an_epoch_is_the_same_each_time_and_unlike_the_others():
    value = small()

    def first(**change):
        arguments = {"batch": 20, "data_seed": 0, "epoch": 0, "augment": ("crop",)} | change
        return next(data.batches(value, **arguments))[0]

    assert torch.equal(first(), first())
    assert torch.equal(first(data_seed=np.int64(0)), first())
    assert not torch.equal(first(epoch=1), first())
    assert not torch.equal(first(data_seed=1), first())


def test_a_small_training_set_makes_one_short_batch():
    value = small(count=10)
    [(features, labels)] = data.batches(value, batch=64, data_seed=0, epoch=0, augment=())
    assert features.shape == (90, 10)
    assert sorted(labels.tolist()) == sorted(value.train_labels.tolist())
    assert data.steps_per_epoch(value, 64) == 1


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("batch", [1, 3, 8, 100])
def test_evaluation_walks_the_test_images_in_order(monkeypatch, cached, batch):
    if not cached:
        monkeypatch.setattr(dataset, "CACHE_BYTES", 0)
    value = small()
    found = list(data.evaluation_batches(value, batch))
    assert all(features.is_contiguous() for features, _ in found)
    assert torch.equal(torch.cat([labels for _, labels in found]), value.test_labels)
    want = data.normalise(value.test_images, value.mean, value.std).flatten(1).t()
    assert torch.equal(torch.cat([features for features, _ in found], dim=1), want)
    assert [features.shape[1] for features, _ in found][:-1] == [batch] * (len(found) - 1)


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
@pytest.mark.parametrize("start", [0, 1, 3, 9])
def test_shares_of_an_epoch_from_any_step_on_make_up_the_epoch(parts, start):
    value = small(count=23)
    wanted: dict[str, Any] = {"batch": 6, "data_seed": 5, "epoch": 1, "augment": ("flip", "crop")}
    whole = list(data.batches(value, **wanted))[start:]
    shares = [
        list(data.batches(value, **wanted, start=start, share=(part, parts)))
        for part in range(parts)
    ]
    assert [len(each) for each in shares] == [len(whole)] * parts
    for step, (features, labels) in enumerate(whole):
        assert torch.equal(torch.cat([each[step][0] for each in shares], dim=1), features)
        assert torch.equal(torch.cat([each[step][1] for each in shares]), labels)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_shares_of_an_evaluation_are_its_batches(parts):
    value = small()
    whole = list(data.evaluation_batches(value, 3))
    for part in range(parts):
        found = list(data.evaluation_batches(value, 3, share=(part, parts)))
        for (features, labels), (wanted, theirs) in zip(found, whole[part::parts], strict=True):
            assert torch.equal(features, wanted)
            assert torch.equal(labels, theirs)


def test_writing_to_a_batch_does_not_reach_the_data_set():
    value = small(shape=(7, 1, 1))
    before = value.train_images.clone()
    for batch in (1, 4):
        for features, _ in data.batches(value, batch=batch, data_seed=0, epoch=0, augment=()):
            features.fill_(9)
        for features, _ in data.evaluation_batches(value, batch):
            features.fill_(9)
    assert torch.equal(value.train_images, before)
    assert value.train_features is not None
    assert 9 not in value.train_features
    assert value.test_features is not None
    assert 9 not in value.test_features


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 0}, ("`batch`", ">= 1", "0")),
        ({"batch": 2.0}, ("`batch`", "integer", "2.0")),
        ({"epoch": -1}, ("`epoch`", ">= 0")),
        ({"data_seed": None}, ("`data_seed`", "None")),
        ({"augment": ("crops",)}, ("`augment`", "did you mean 'crop'")),
        ({"start": -1}, ("`start`", ">= 0")),
        ({"share": (2, 2)}, ("`share`", "0 <= i < n", "(2, 2)")),
        ({"share": (0, 3)}, ("`batch`", "part evenly among 3 processes", "4 samples")),
    ],
)
def test_bad_arguments_of_batches_are_refused_at_the_call(change, words):
    with refuses(*words):
        data.batches(small(), **({"batch": 4, "data_seed": 0, "epoch": 0, "augment": ()} | change))


def test_a_bad_batch_is_refused_everywhere():
    for walk in (data.steps_per_epoch, data.evaluation_batches):
        with refuses("`batch`", ">= 1"):
            walk(small(), 0)
