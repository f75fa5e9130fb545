"""Data sets that are read from somewhere: what they read, what they refuse and in which words."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablate.errors import ConfigError, DataError
from ablate.registry import Registry
from ablate.testing.suite import cases
from ablate.training.dataset import Arrays, Raw, subset, warnings

REAL = Path(__file__).parents[3] / "shared" / "data" / "cifar10-subset"
rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3
MEMBERS = {"images": IMAGES, "labels": LABELS}


def make(name, **params):
    return Registry().make("datasets", name, params)


def refused(name, message, **params):
    with pytest.raises(DataError) as caught:
        make(name, **params).arrays()
    assert message in str(caught.value)


def npz(folder, **parts):
    for part, members in parts.items():
        np.savez(folder / f"{part}.npz", **members)
    return {"root": str(folder)}


def pickled(folder, **parts):
    for part, value in parts.items():
        (folder / part).write_bytes(value if isinstance(value, bytes) else pickle.dumps(value))
    return {"root": str(folder), "dev": "dev"}


def cifar100(folder, classes=100, each=2, protocol=2):
    """100 classes in the python layout of CIFAR-100: class k is nearly of the grey level 2k."""
    where = folder / "cifar-100-python"
    where.mkdir()
    for part, count in (("train", each * 5), ("test", each)):
        labels = np.random.default_rng(count).permutation(np.repeat(np.arange(classes), count))
        noise = np.random.default_rng(count).integers(0, 5, (len(labels), 3072))
        batch = {
            "data": (2 * labels[:, None] + noise).astype(np.uint8),
            "fine_labels": labels.tolist(),
            "coarse_labels": (labels // 5).tolist(),
            "filenames": [f"{label}.png" for label in labels],
            "batch_label": f"{part}ing batch 1 of 1",
        }
        (where / part).write_bytes(pickle.dumps(batch, protocol))
    meta = {
        "fine_label_names": [f"fine {k}" for k in range(classes)],
        "coarse_label_names": [f"coarse {k}" for k in range(classes // 5)],
    }
    (where / "meta").write_bytes(pickle.dumps(meta, protocol))
    return {"root": str(folder)}


def cifar10(folder):
    where = folder / "cifar-10-batches-py"
    where.mkdir()
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        data = np.full((20, 3072), number, np.uint8)
        (where / name).write_bytes(pickle.dumps({b"data": data, b"labels": [k % 10 for k in range(20)]}))
    (where / "batches.meta").write_bytes(pickle.dumps({b"label_names": [f"class {k}".encode() for k in range(10)]}))
    return {"root": str(folder)}


def folders(folder, parts=("train", "dev"), size=(4, 4)):
    for part in parts:
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for k in range(4):
                Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(
                    folder / part / name / f"{k}.png"
                )
    return {"root": str(folder)}


LOADER = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
y = np.arange(12) % 3
def load():
    return X, y, X[:6], y[:6], X[:5]
def parts(classes=3):
    return {"train": (X, y), "dev": (X[:6], y[:6]), "class_names": [f"class {k}" for k in range(classes)]}
def fractions():
    import torch
    x = torch.tensor(X).permute(0, 3, 1, 2) / 255
    return (x, torch.tensor(y)), (x[:6], torch.tensor(y[:6])), (x[:5], list("abcde"))
def sets():
    import torchvision
    tensor = torchvision.transforms.ToTensor()
    class Set(torchvision.datasets.VisionDataset):
        def __len__(self): return 12
        def __getitem__(self, row): return tensor(X[row]), int(y[row])
    return Set(), Set()
def one_part(): return X, y
def one_set(): return sets()[0]
def batches():
    import torch
    return (torch.utils.data.DataLoader(sets()[0]),) * 2
def normalised(): return (X - 128.0) / 64, y, X, y
def random(): return np.random.default_rng().integers(0, 256, (12, 4, 4, 3), dtype=np.uint8), y, X, y
def broken(): return 1 / 0
def leaves(): raise SystemExit(3)
def other(): return {"training": 1, "train": (X, y)}
def none(): return None
def talks(): print("loading"); return load()
"""


def function(folder, load="load", **more):
    name = f"loader_{abs(hash(str(folder)))}"
    (folder / f"{name}.py").write_text(LOADER)
    return {"load": f"{name}:{load}", "path": [str(folder)], **more}


def whole(name, folder):
    """Parameters with which every data set of files loads."""
    dev = {"train": MEMBERS, "dev": {"images": IMAGES[:6], "labels": LABELS[:6]}}
    if name == "cifar100":
        return cifar100(folder, classes=10, each=2)
    if name == "pickle":
        return pickled(folder, **dev)
    return {"npz": lambda f: npz(f, **dev), "cifar10": cifar10, "folder": folders, "function": function}[name](folder)


FILES = ("cifar10", "cifar100", "folder", "function", "npz", "pickle")


@pytest.mark.parametrize("name", FILES)
def test_a_data_set_that_is_read_from_files_conforms(name, tmp_path):
    for case in cases(params={f"datasets/{name}": whole(name, tmp_path)}):
        if case.shelf == "datasets" and case.name == name:
            case.check()


def test_every_data_set_that_needs_files_is_given_some_here():
    registry = Registry()
    needy = [n for n in registry.names("datasets") if any(p.required for p in registry.parameters("datasets", n))]
    assert list(FILES) == needy


@pytest.mark.parametrize("name", [n for n in FILES if n != "function"])
def test_the_fingerprint_is_of_the_contents_and_not_of_the_place(name, tmp_path):
    params = whole(name, tmp_path)
    shutil.copytree(tmp_path, tmp_path / "copy")
    copy = params | {"root": str(tmp_path / "copy")}
    before = make(name, **params).fingerprint()
    assert make(name, **copy).fingerprint() == before
    changed = max((p for p in (tmp_path / "copy").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    changed.write_bytes(changed.read_bytes() + b" ")
    assert make(name, **copy).fingerprint() != before


def test_another_source_or_other_arrays_of_a_loader_are_another_fingerprint(tmp_path):
    one, same, other = (
        make("function", **function(tmp_path, load)).fingerprint() for load in ("load", "talks", "parts")
    )
    assert len({one, same, other}) == 3  # `load:` is part of what was asked
    params = function(tmp_path)
    assert make("function", **params).fingerprint() == one
    loader = next(tmp_path.glob("*.py"))
    loader.write_text(LOADER + "# a comment\n")
    assert make("function", **params).fingerprint() != one


@pytest.mark.parametrize("name", [n for n in FILES if n != "function"])
def test_a_fingerprint_loads_neither_numpy_nor_torch(name, tmp_path):
    params = whole(name, tmp_path)
    code = (
        f"import sys; from ablate.registry import Registry; Registry().make('datasets', {name!r}, {params!r}).fingerprint();"
        "print(sorted({'numpy', 'torch', 'torchvision', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---------------------------------------------------------------------------------------------------------------- subset


def labelled(*counts):
    """Images that are told apart by their first pixel; so many of each class, in turn."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    return images, labels


def first_pixels(images):
    return images[:, 0, 0, 0].tolist()


def test_a_split_takes_the_same_share_of_every_class_and_no_image_twice():
    train = labelled(40, 20, 10)
    arrays = subset(Raw(train), dev_fraction=0.1)
    assert np.bincount(arrays.dev_labels).tolist() == [4, 2, 1]
    assert sorted(first_pixels(arrays.train_images) + first_pixels(arrays.dev_images)) == list(range(70))
    labels = dict(enumerate(train[1]))
    assert [labels[pixel] for pixel in first_pixels(arrays.dev_images)] == arrays.dev_labels.tolist()


def test_a_split_is_fixed_by_its_own_seed_and_another_seed_makes_another():
    source = Raw(labelled(40, 20))
    one, again, other = (subset(source, dev_fraction=0.25, split_seed=seed) for seed in (0, 0, 1))
    assert first_pixels(one.dev_images) == first_pixels(again.dev_images)
    assert first_pixels(one.dev_images) != first_pixels(other.dev_images)


def test_fewer_images_or_classes_move_no_image_between_train_and_dev():
    source = Raw(labelled(20, 20, 20))
    all_of_it = subset(source, dev_fraction=0.2)
    few = subset(source, dev_fraction=0.2, per_class=5)
    fewer = subset(source, dev_fraction=0.2, per_class=3)
    two = subset(source, dev_fraction=0.2, classes=[2, 0])
    assert first_pixels(few.dev_images) == first_pixels(all_of_it.dev_images)
    assert set(first_pixels(fewer.train_images)) < set(first_pixels(few.train_images))
    assert set(first_pixels(two.dev_images)) < set(first_pixels(all_of_it.dev_images))
    assert np.bincount(few.train_labels).tolist() == [5, 5, 5]


def test_classes_are_kept_by_number_or_name_and_renumbered_in_the_order_asked_for():
    images, labels = labelled(4, 4, 4)
    arrays = subset(Raw((images, labels), (images, labels), class_names=("ant", "bee", "cat")), classes=["cat", 0])
    assert arrays.class_names == ("cat", "ant")
    assert [int(labels[pixel]) for pixel in first_pixels(arrays.train_images)] == [
        (2, 0)[label] for label in arrays.train_labels
    ]


def test_mean_and_std_are_of_the_training_images_that_are_kept():
    images, labels = labelled(10, 10)
    arrays = subset(Raw((images, labels)), dev_fraction=0.5)
    assert arrays.mean == (pytest.approx(arrays.train_images.mean()),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["bea", "ant"]}, "no class 'bea'; it has 2: ant or bee. Did you mean 'bee'?"),
        ({"classes": [0, 2]}, "no class 2; it has 2: ant or bee."),
        ({"classes": [0, "ant"]}, "one class twice"),
        ({"per_class": 11}, "class 'ant' has 10 training images; per_class asks for 11."),
        ({"per_class": 10, "dev_fraction": 0.1}, "has 9 training images beside its dev images; per_class asks for 10"),
        ({"dev_fraction": 0.01}, "dev_fraction 0.01 would take 0 of them"),
        ({"dev_fraction": 0.99}, "dev_fraction 0.99 would take 10 of them"),
        ({}, "there are no dev images; `dev_fraction: 0.1`"),
    ],
)
def test_a_subset_that_is_not_there_is_refused(options, message):
    with pytest.raises(DataError) as caught:
        subset(Raw(labelled(10, 10), class_names=("ant", "bee")), **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"classes": [1]}, "it must list two or more different classes"),
        ({"classes": [1, 1]}, "two or more different classes"),
        ({"dev_fraction": 0.0}, "is 0.0; it must be above 0"),
        ({"dev_fraction": 1.0}, "is 1.0; it must be below 1"),
        ({"per_class": 0}, "per_class: is 0; it must be"),
        ({"dev": "dev.npz", "dev_fraction": 0.1}, "give one of them"),
    ],
)
def test_options_that_mean_nothing_are_mistakes_in_the_configuration(params, message):
    with pytest.raises(ConfigError, match=message):
        make("npz", root=".", **params)


# ------------------------------------------------------------------------------------------------------------------- npz


def test_npz_gives_the_arrays_that_were_saved(tmp_path):
    where = npz(tmp_path, train=MEMBERS, dev=MEMBERS, test={"images": IMAGES[:2], "ids": [7, 3]})
    arrays = make("npz", **where, test="test.npz").arrays()
    assert np.array_equal(arrays.train_images, IMAGES)
    assert np.array_equal(arrays.dev_labels, LABELS)
    assert arrays.test_ids == ("7", "3")
    assert arrays.class_names == ("0", "1", "2")


def test_val_is_dev_and_a_test_file_beside_it_is_the_test_set_and_changes_no_key(tmp_path):
    arrays = np.zeros((6, 4, 4, 3), np.uint8)
    for name in ("train", "val"):
        np.savez(tmp_path / f"{name}.npz", images=arrays, labels=np.arange(6) % 2)
    make = Registry().make("datasets", "npz", {"root": str(tmp_path)})
    before = make.fingerprint()
    assert (6, None) == (len(make.read().dev[0]), make.read().test)
    np.savez(tmp_path / "test.npz", images=arrays[:3])
    assert before == make.fingerprint()
    assert 3 == len(make.read().test[0])


def test_class_names_come_from_a_text_file(tmp_path):
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\n")
    where = npz(tmp_path, train=MEMBERS, dev=MEMBERS)
    assert make("npz", **where, names="classes.txt", classes=["cat", "ant"]).arrays().class_names == ("cat", "ant")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
def test_the_real_images_load_whole():
    arrays = make("npz", root=str(REAL), test="test.npz", names="classes.txt").arrays()
    assert (arrays.train_images.shape, arrays.dev_images.shape) == ((10000, 32, 32, 3), (2000, 32, 32, 3))
    assert arrays.test_ids == tuple(str(number) for number in range(2000))
    assert arrays.class_names[:2] == ("airplane", "automobile")


HALF, NAN = IMAGES / 255, np.where(np.arange(12)[:, None, None, None] == 7, np.nan, IMAGES / 255)
BAD_MEMBERS = [
    (
        {"image": IMAGES, "labels": LABELS},
        "train.npz has no key 'images'; it has 'image' or 'labels'. Did you mean 'image'?",
    ),
    ({"images": IMAGES}, "train.npz has no key 'labels'; it has 'images'."),
    ({"images": IMAGES, "labels": LABELS[:5]}, "there are 5 labels for 12 images"),
    ({"images": IMAGES, "labels": LABELS[:, None]}, "the labels are int64 of shape (12, 1); they must be integers"),
    ({"images": IMAGES, "labels": LABELS / 2}, "the labels are float64"),
    (
        {"images": IMAGES, "labels": np.where(LABELS == 2, np.nan, 1)},
        "train.npz: labels, row 2: the label is no number",
    ),
    ({"images": IMAGES, "labels": LABELS - 1}, "train.npz: labels, row 0: the label -1 is out of range"),
    ({"images": IMAGES, "labels": np.where(LABELS == 1, 10**9, 0)}, "row 1: the label 1000000000 is out of range"),
    ({"images": IMAGES[:, 0, 0], "labels": LABELS}, "images have shape (12, 3)"),
    ({"images": IMAGES[..., None], "labels": LABELS}, "images have shape (12, 4, 4, 3, 1)"),
    ({"images": NAN, "labels": LABELS}, "train.npz: images, row 7: the value nan is no number"),
    ({"images": HALF * 2 - 1, "labels": LABELS}, "row 0: the value"),
    ({"images": HALF * 2 - 1, "labels": LABELS}, "before any normalisation"),
    ({"images": IMAGES.astype(int) + 1000, "labels": LABELS}, "row 0: the value"),
    ({"images": IMAGES.astype(complex), "labels": LABELS}, "the images are complex128"),
    ({"images": IMAGES[:0], "labels": LABELS[:0]}, "images: there are no images"),
    ({"images": IMAGES[:, :2], "labels": LABELS}, "the dev images are 4 x 4 x 3 and the training images 2 x 4 x 3"),
]


@pytest.mark.parametrize(("members", "message"), BAD_MEMBERS)
def test_broken_arrays_are_refused_with_the_file_and_the_row(members, message, tmp_path):
    refused("npz", message, **npz(tmp_path, train=members, dev=MEMBERS))


SAME_IN_PICKLES = [
    (members, message) for members, message in BAD_MEMBERS if "no key" not in message and "complex" not in message
]


@pytest.mark.parametrize(("members", "message"), SAME_IN_PICKLES)
def test_a_pickle_of_broken_arrays_is_refused_in_the_same_words(members, message, tmp_path):
    where = pickled(tmp_path, train=members, dev=MEMBERS)
    refused("pickle", message.replace("train.npz", "train"), **where)


def test_a_key_that_a_pickle_does_not_have_is_named(tmp_path):
    where = pickled(tmp_path, train={"image": 1}, dev=MEMBERS)
    refused("pickle", "train has no key 'data' or 'images'; it has 'image'. Did you mean 'image'?", **where)
    where = pickled(tmp_path, train={"data": IMAGES}, dev=MEMBERS)
    refused("pickle", "train has no key 'labels' or 'fine_labels'; it has 'data'.", **where)


def test_dev_labels_beyond_those_of_the_training_images_are_refused(tmp_path):
    where = npz(tmp_path, train=MEMBERS, dev={"images": IMAGES, "labels": LABELS + 1})
    refused("npz", "dev.npz: labels, row 2: the label 3 is out of range; it must be in 0..2.", **where)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2, 1], "rows 0 and 2 are both '1'; they must differ"),
        ([1, 2], "one for each of 3 images"),
        ([0.5, 1, 2], "the ids are float64"),
    ],
)
def test_test_ids_that_name_no_image_are_refused(ids, message, tmp_path):
    where = npz(tmp_path, train=MEMBERS, dev=MEMBERS, test={"images": IMAGES[:3], "ids": ids})
    refused("npz", message, **where, test="test.npz")


def test_a_file_that_is_cut_short_at_any_place_is_named(tmp_path):
    npz(tmp_path, train=MEMBERS, dev=MEMBERS)
    data = (tmp_path / "train.npz").read_bytes()
    for length in range(0, len(data), 97):
        (tmp_path / "train.npz").write_bytes(data[:length])
        refused("npz", "train.npz", root=str(tmp_path))


def test_a_file_with_a_flipped_byte_is_refused_or_read_as_it_was(tmp_path):
    npz(tmp_path, train=MEMBERS, dev=MEMBERS)
    data = (tmp_path / "train.npz").read_bytes()
    for place in range(0, len(data), 29):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        (tmp_path / "train.npz").write_bytes(broken)
        try:
            arrays = make("npz", root=str(tmp_path)).arrays()
        except DataError:
            continue
        assert np.array_equal(arrays.train_images, IMAGES), place


def test_an_npy_file_and_a_file_of_objects_are_no_npz(tmp_path):
    where = npz(tmp_path, dev=MEMBERS, train={"images": IMAGES, "labels": np.array([Path("a")] * 12, object)})
    refused("npz", "train.npz: labels: this is pickled Python objects, which are not read", **where)
    np.save(tmp_path / "train.npy", IMAGES)
    refused("npz", "train.npy is a single array", **where, train="train.npy")


def test_a_missing_file_or_folder_is_named_with_the_nearest_one(tmp_path):
    npz(tmp_path, train=MEMBERS, deb=MEMBERS)
    refused("npz", "dev.npz does not exist; ", root=str(tmp_path))
    refused("npz", "Did you mean 'deb.npz'?", root=str(tmp_path))
    (tmp_path / "cifar").mkdir()
    refused("npz", "Did you mean 'cifar'?", root=str(tmp_path / "cifat"))
    refused("npz", "`--set data.root=FOLDER` names another", root=str(tmp_path / "cifat"))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_that_are_grey_levels_over_255_become_those_levels(kind, tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 0)
    members = {"images": (levels / 255).astype(kind), "labels": [0, 1, 0]}
    assert np.array_equal(make("npz", **npz(tmp_path, train=members, dev=members)).arrays().train_images, levels)


@pytest.mark.parametrize("images", [IMAGES.transpose(0, 3, 1, 2), IMAGES.astype(np.int64), IMAGES.astype(np.float32)])
def test_channels_first_and_other_types_of_whole_numbers_mean_the_same_images(images, tmp_path):
    members = {"images": images, "labels": LABELS}
    assert np.array_equal(make("npz", **npz(tmp_path, train=members, dev=members)).arrays().train_images, IMAGES)


# --------------------------------------------------------------------------------------------------------------- pickles


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("keys", [str, str.encode])
def test_a_pickle_of_any_protocol_gives_its_arrays(protocol, keys, tmp_path):
    batch = {
        keys("images"): np.asfortranarray(IMAGES),
        keys("labels"): [np.int64(k) for k in LABELS],
        keys("more"): (None, 1.5, {2, 3}, b"bytes", "text", frozenset(), bytearray(b"x"), np.bool_(True), [[]]),
    }
    where = pickled(tmp_path, train=pickle.dumps(batch, protocol), dev=MEMBERS)
    arrays = make("pickle", **where).arrays()
    assert np.array_equal(arrays.train_images, IMAGES)
    assert np.array_equal(arrays.train_labels, LABELS)


def test_a_batch_as_python_2_wrote_it_is_read(tmp_path):
    """Keys and bytes of arrays are Python 2's text, and numpy is called by its old name."""
    planes = bytes(range(12)) * 2
    raw = b"U\x18" + planes
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"
        b"(I1\n(I2\nI12\ntcnumpy\ndtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntbI00\n" + raw + b"tb"
    )
    data = b"\x80\x02}U\x04data" + array + b"sU\x06labels](K\x00K\x01es."
    arrays = make("pickle", **pickled(tmp_path, train=data, dev=data)).arrays()
    assert arrays.train_images[0].tolist() == [[[0, 4, 8], [1, 5, 9]], [[2, 6, 10], [3, 7, 11]]]
    assert pickle.loads(data, encoding="latin1")["data"].tolist() == [list(range(12))] * 2


class Calls:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def touch(path):
    return f"import pathlib; pathlib.Path({str(path)!r}).touch()"


def hostile(trap):
    """Pickles that would make the file `trap`, and what the refusal says."""
    command = f"touch {trap}"
    structured = pickle.dumps(np.zeros(2, [("a", object)]))
    system = b"c" + os.system.__module__.encode() + b"\nsystem\n"
    return [
        (pickle.dumps(Calls(os.system, command)), f"asks for {os.system.__module__}.system"),
        (pickle.dumps(Calls(eval, f"__import__('os').system({command!r})")), "asks for builtins.eval"),
        (pickle.dumps(Calls(exec, touch(trap)), 0), "asks for __builtin__.exec"),
        (pickle.dumps({"images": IMAGES, "labels": [Calls(os.system, command)]}), "system"),
        (pickle.dumps(Calls(getattr, "x", "upper")), "asks for builtins.getattr"),
        (pickle.dumps(Calls(__import__, "os")), "asks for builtins.__import__"),
        (pickle.dumps(Calls(np.load, str(trap), "r", True)), "asks for numpy.load"),
        (pickle.dumps(Calls(np.fromfile, str(trap))), "asks for numpy.fromfile"),
        (pickle.dumps(Calls(np.memmap, str(trap), "u1", "w+", 0, 4)), "asks for numpy.memmap"),
        (pickle.dumps(Path(trap)), "asks for pathlib"),
        (pickle.dumps(Calls(pickle.loads, b"")), "asks for _pickle.loads"),
        (b"cnumpy.testing._private.utils\nruncstring\n.", "asks for numpy.testing._private.utils.runcstring"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0eos.system.mean\x93.", "asks for numpy.os.system.mean"),
        (b"\x80\x04\x8c\x16numpy._core.multiarray\x8c\x0e_reconstruct.x\x93.", "_reconstruct.x"),
        (system + b"(S'" + command.encode() + b"'\ntR.", "system"),
        (b"(S'" + command.encode() + b"'\ni" + system[1:] + b".", "system"),
        (b"(" + system + b"S'" + command.encode() + b"'\no.", "system"),
        (b"cnumpy\nndarray\n(I4\ntR.", "makes an array in a way that is not numpy's"),
        (b"cnumpy\ndtype\n}S'_make'\n" + b"I1\nsb.", "changes what a name means"),
        (b"cnumpy\ndtype\nN}S'_make'\nI1\ns\x86b.", "changes what a name means"),
        (b"c_codecs\nencode\n(Vx\nVunicode_escape\ntR.", "encodes text as 'unicode_escape'"),
        (b"Pouter\n.", "refers to 'outer', outside itself"),
        (structured, "V8"),
        (b"cnumpy\ndtype\n(S'O8'\ntR(I3\nS'|'\nN(S'a'\ntNtb.", "has an array with fields"),
        (b"\x82\x01.", "no whole pickle"),
    ]


@pytest.mark.parametrize("number", range(len(hostile("x"))))
def test_a_hostile_pickle_is_refused_by_name_and_executes_nothing(number, tmp_path):
    trap = tmp_path / "trap"
    data, message = hostile(trap)[number]
    refused("pickle", message, **pickled(tmp_path, train=data, dev=MEMBERS))
    assert not trap.exists()


def test_the_hostile_pickles_of_these_tests_would_have_worked(tmp_path):
    pickle.loads(hostile(tmp_path / "trap")[0][0])
    assert (tmp_path / "trap").exists()


def test_a_pickle_that_is_cut_short_or_no_dictionary_is_named(tmp_path):
    data = pickle.dumps(MEMBERS)
    for length in range(0, len(data), 37):
        refused("pickle", "train", **pickled(tmp_path, train=data[:length], dev=MEMBERS))
    refused("pickle", "is no whole pickle", **pickled(tmp_path, train=data[:200], dev=MEMBERS))
    refused("pickle", "train holds a list; it must hold a dictionary", **pickled(tmp_path, train=[1], dev=MEMBERS))


def test_rows_of_other_shapes_are_named(tmp_path):
    ragged = {"images": [IMAGES[0], IMAGES[1], IMAGES[2][:2]], "labels": [0, 1, 0]}
    refused("pickle", "images, row 2: its shape is not that of row 0", **pickled(tmp_path, train=ragged, dev=MEMBERS))


def test_an_array_whose_bytes_are_too_few_is_refused(tmp_path):
    data = pickle.dumps({"images": IMAGES, "labels": LABELS.tolist()}, 2)
    more = data.replace(b"(K\x01(K\x0cK\x04", b"(K\x01(K\x0dK\x04")
    assert more != data
    refused("pickle", "is no whole pickle", **pickled(tmp_path, train=more, dev=MEMBERS))


# ----------------------------------------------------------------------------------------------------------------- CIFAR


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_data_set_in_the_layout_of_cifar_100_loads_through_cifar100_and_through_pickle(protocol, tmp_path):
    where = cifar100(tmp_path, protocol=protocol)
    arrays = make("cifar100", **where).arrays()
    assert arrays.train_images.shape == (900, 32, 32, 3)
    assert np.bincount(arrays.dev_labels).tolist() == [1] * 100
    assert (len(arrays.test_images), arrays.test_ids[-1], arrays.class_names[99]) == (200, "199", "fine 99")
    assert (abs(arrays.train_images.mean((1, 2, 3)) - 2 * arrays.train_labels - 2) < 1).all()
    folder = str(tmp_path / "cifar-100-python")
    same = make("pickle", root=folder, dev_fraction=0.1, test="test", names="meta").arrays()
    for name in ("train_images", "train_labels", "dev_images", "test_images"):
        assert np.array_equal(getattr(same, name), getattr(arrays, name))
    coarse = make("pickle", root=folder, dev="test", labels="coarse", names="meta").arrays()
    assert len(coarse.class_names) == 20
    assert np.array_equal(make("cifar100", **where, dev="test", labels="coarse").arrays().dev_labels, coarse.dev_labels)


def test_the_official_test_set_is_the_dev_set_only_if_asked(tmp_path):
    where = cifar10(tmp_path)
    split, official = make("cifar10", **where), make("cifar10", **where, dev="test")
    assert (len(split.arrays().dev_images), len(split.arrays().test_images)) == (10, 20)
    assert official.arrays().dev_images.max() == official.arrays().dev_images.min() == 5
    assert (len(official.arrays().train_images), official.arrays().test_ids) == (100, ())
    assert split.dev_fraction == 0.1
    with pytest.raises(ConfigError, match="give one of them"):
        make("cifar10", **where, dev="test", dev_fraction=0.2)


@pytest.mark.parametrize(("name", "folder"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")])
def test_without_its_files_cifar_says_which_folder_it_expects(name, folder, tmp_path):
    refused(name, f"{tmp_path / folder} does not exist", root=str(tmp_path))
    refused(name, "or ask for `download: true`", root=str(tmp_path))
    (tmp_path / folder).mkdir()
    refused(name, f"{folder} has nothing", root=str(tmp_path))


def test_a_download_without_network_says_what_to_put_where(tmp_path, monkeypatch):
    for kind in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(kind, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    refused("cifar100", "cannot be downloaded from https://", root=str(tmp_path), download=True)
    refused("cifar100", f"so that {tmp_path / 'cifar-100-python'} exists", root=str(tmp_path), download=True)


def test_a_label_without_a_name_is_refused(tmp_path):
    where = cifar10(tmp_path)
    batch = {"data": np.zeros((3, 3072), np.uint8), "labels": [0, 10, 1]}
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(batch))
    refused("cifar10", "data_batch_3: labels, row 1: the label 10 is out of range; it must be in 0..9.", **where)


# --------------------------------------------------------------------------------------------------------------- folders


def test_a_folder_for_each_class_gives_images_by_class(tmp_path):
    where = folders(tmp_path)
    (tmp_path / "test").mkdir()
    for name in ("b", "a"):
        Image.fromarray(IMAGES[0]).save(tmp_path / "test" / f"{name}.png")
    Image.fromarray(IMAGES[5][..., 0]).save(tmp_path / "train" / "dog" / "0.png")
    arrays = make("folder", **where).arrays()
    assert (arrays.class_names, arrays.train_labels.tolist()) == (("cat", "dog"), [0] * 4 + [1] * 4)
    assert arrays.test_ids == ("a", "b")
    assert np.array_equal(arrays.train_images[4], IMAGES[5][..., :1].repeat(3, 2))
    assert make("folder", **where, channels=1, size=2).arrays().train_images.shape == (8, 2, 2, 1)


def test_folders_called_by_numbers_are_classes_in_the_order_of_numbers(tmp_path):
    for number in (0, 2, 10, 1):
        (tmp_path / "train" / str(number)).mkdir(parents=True)
        for k in range(2):
            Image.fromarray(IMAGES[k]).save(tmp_path / "train" / str(number) / f"{k}.png")
    assert make("folder", root=str(tmp_path), dev_fraction=0.5).arrays().class_names == ("0", "1", "2", "10")


def spoil(path, how):
    if how == "text":
        path.write_text("no image")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:60])
    elif how == "chunk":
        path.write_bytes(path.read_bytes().replace(b"IDAT", b"XDAT"))
    elif how == "bits":
        Image.fromarray(np.zeros((4, 4), np.uint16)).save(path)
    elif how == "gif":
        Image.fromarray(IMAGES[0]).save(path, format="GIF")
    else:
        Image.fromarray(np.zeros((6, 5, 3), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("text", "cannot be read as an image (PNG, JPEG, "),
        ("cut", "cannot be read as an image (PNG, JPEG, "),
        ("chunk", "cannot be read as an image (PNG, JPEG, "),
        ("gif", "cannot be read as an image (PNG, JPEG, "),
        ("bits", "has more than 8 bits a channel"),
        ("size", "is 5 x 6 pixels and"),
        ("size", "`size: 4` resizes all"),
    ],
)
def test_an_unreadable_image_is_named(how, message, tmp_path):
    where = folders(tmp_path)
    path = tmp_path / "dev" / "dog" / "2.png"
    spoil(path, how)
    refused("folder", message, **where)
    refused("folder", str(path), **where)


def test_folders_that_do_not_fit_together_are_refused(tmp_path):
    where = folders(tmp_path, parts=("train",))
    refused("folder", "has no folder 'dev' or 'val'; `dev_fraction: 0.1` takes", **where)
    (tmp_path / "dev").mkdir()
    refused("folder", "dev has no folders; it must have one for each class", **where)
    (tmp_path / "dev" / "dig").mkdir()
    refused("folder", "dig has no image (PNG, JPEG, ", **where)
    Image.fromarray(IMAGES[0]).save(tmp_path / "dev" / "dig" / "0.JPG", format="JPEG")
    refused("folder", "no class of the training images is called so. Did you mean 'dog'?", **where)


@pytest.mark.parametrize("ending", ["webp", "bmp", "tif", "TIFF", "ppm"])
def test_what_torchvision_reads_is_read_in_folders_of_a_class_too(ending, tmp_path):
    where = folders(tmp_path)
    before = make("folder", **where).fingerprint()
    more = tmp_path / "train" / "cat" / "more"
    more.mkdir()
    kind = {"tif": "TIFF", "TIFF": "TIFF", "ppm": "PPM"}.get(ending, ending.upper())
    Image.new("RGB", (4, 4), (9, 0, 0)).save(more / f"0.{ending}", format=kind)
    data = make("folder", **where)
    arrays = data.arrays()
    assert [0] * 5 + [1] * 4 == arrays.train_labels.tolist()
    assert 0 < arrays.train_images[4].max() < 20, "the one in the folder, after those beside it"
    assert (before != data.fingerprint(), ()) == (True, data.passed_over())


def test_the_fingerprint_of_a_folder_that_was_read_whole_stays(tmp_path):
    for part in ("train", "dev"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "0.png").write_bytes(name.encode())
    for left in ("._0.png", ".DS_Store", "__MACOSX/cat/._0.png", "cat/__MACOSX/._0.png", "cat/._0.png"):
        (tmp_path / "train" / left).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / left).write_bytes(b"")
    data = make("folder", root=str(tmp_path))
    # Computed by 0.1.0, which read PNG and JPEG files in class folders and nothing below them.
    assert "2030cd2ce859eeca173f783d80dfed11eefbae768951a4489cea4ab2affcf64c" == data.fingerprint()
    assert () == data.passed_over()


def test_what_is_passed_over_is_counted_and_named(tmp_path):
    where = folders(tmp_path, parts=("train", "dev"))
    for name in ("labels.csv", "stray.png", "cat/notes.txt", "cat/9.gif"):
        (tmp_path / "train" / name).write_text("x")
    (tmp_path / "train" / "dog" / "9.png").symlink_to("/annex/objects/9.png")
    assert make("folder", **where).passed_over() == (
        f"Of {tmp_path}/train, passed over: 1 link without a target, which DVC or git-annex may fetch (dog/9.png) and "
        "4 files that are no images in their place (labels.csv, stray.png, cat/9.gif and 1 more).",
    )
    (tmp_path / "dev" / "owl").mkdir()
    (tmp_path / "dev" / "owl" / "0.png").symlink_to("nowhere")
    refused("folder", "owl has no image (PNG, JPEG, PPM, PGM, BMP, TIFF or WebP); passed over: 1 link", **where)


def test_a_link_to_a_folder_above_is_no_endless_road(tmp_path):
    where = folders(tmp_path)
    (tmp_path / "train" / "cat" / "again").symlink_to(tmp_path / "train" / "cat")
    assert 8 == len(make("folder", **where).arrays().train_labels)


def test_a_class_is_called_the_same_by_a_mac_and_by_others(tmp_path):
    for part, name in (("train", "cafe\u0301"), ("train", "tea"), ("dev", "caf\xe9"), ("dev", "tea")):
        (tmp_path / part / name).mkdir(parents=True)
        Image.fromarray(IMAGES[0]).save(tmp_path / part / name / "0.png")
    assert [0, 1] == make("folder", root=str(tmp_path)).arrays().dev_labels.tolist()
    (tmp_path / "dev" / "cafe\u0301").mkdir()
    refused("folder", "they must differ", root=str(tmp_path))


def test_an_image_file_of_several_images_is_refused(tmp_path):
    where = folders(tmp_path)
    image = Image.fromarray(IMAGES[0])
    image.save(tmp_path / "train" / "cat" / "9.tif", save_all=True, append_images=[image])
    refused("folder", "9.tif holds 2 images; save each in a file of its own", **where)


def test_a_second_pickle_in_a_file_is_no_surprise(tmp_path):
    parts = {"images": IMAGES, "labels": LABELS}
    where = pickled(tmp_path, train=pickle.dumps(parts) + pickle.dumps(parts), dev=parts)
    refused("pickle", "train: the pickle goes on after its first object", **where)
    (tmp_path / "train").write_bytes(pickle.dumps(parts) + b"\n")
    refused("pickle", "goes on after its first object", **where)


def test_test_images_in_class_folders_are_refused(tmp_path):
    where = folders(tmp_path, parts=("train", "dev", "test"))
    refused(
        "folder",
        "test has no image (PNG, JPEG, PPM, PGM, BMP, TIFF or WebP); test images lie in it without class folders",
        **where,
    )


# -------------------------------------------------------------------------------------------------------------- function


@pytest.mark.parametrize("load", ["load", "parts", "fractions", "sets", "talks"])
def test_every_form_that_a_loader_returns_gives_the_same_images(load, tmp_path, capsys):
    arrays = make("function", **function(tmp_path, load)).arrays()
    assert np.array_equal(arrays.train_images, IMAGES)
    assert np.array_equal(arrays.train_labels, LABELS)
    assert {"load": 5, "fractions": 5, "talks": 5}.get(load, 0) == len(arrays.test_ids)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("load", ["one_part", "one_set"])
def test_a_loader_may_return_training_images_alone(load, tmp_path):
    params = function(tmp_path, load)
    arrays = make("function", **params, dev_fraction=0.25).arrays()
    assert (len(arrays.train_images), len(arrays.dev_images)) == (9, 3)
    refused("function", "there are no dev images; `dev_fraction: 0.1`", **params)


def test_options_reach_the_function_and_the_fingerprint(tmp_path):
    named = make("function", **function(tmp_path, "parts", options={"classes": 4}))
    assert named.arrays().class_names == ("class 0", "class 1", "class 2", "class 3")
    assert named.fingerprint() != make("function", **function(tmp_path, "parts")).fingerprint()


def test_the_folders_of_a_loader_are_not_left_on_the_path(tmp_path):
    before = list(sys.path)
    make("function", **function(tmp_path)).arrays()
    assert sys.path == before


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ("normalised", "before any normalisation or augmentation"),
        ("normalised", "train images, row 0: the value"),
        ("random", "returned other train arrays than the last time"),
        ("broken", "failed: ZeroDivisionError: division by zero ("),
        ("leaves", "failed: SystemExit: 3"),
        ("other", "returned 'training'; it must return a mapping"),
        (
            "batches",
            "train is a DataLoader; it must be (images, labels) or a torchvision data set; return its `.dataset`",
        ),
        ("none", "returned a NoneType without `train`"),
        ("lode", "defines no function 'lode'. Did you mean 'load'?"),
    ],
)
def test_a_loader_that_returns_no_images_is_refused(load, message, tmp_path):
    refused("function", message, **function(tmp_path, load))


def test_a_module_that_is_not_there_or_does_not_import_is_named(tmp_path):
    (tmp_path / "broken_loader.py").write_text("import no_such_library\n")
    (tmp_path / "my_loader.py").write_text("x = 1\n")
    refused("function", "Did you mean 'my_loader'?", load="my_loade:load", path=[str(tmp_path)])
    refused("function", "No module named 'no_such_library'", load="broken_loader:load", path=[str(tmp_path)])
    with pytest.raises(ConfigError, match="it must be `module:function`"):
        make("function", load="my_loader")


def test_two_loaders_of_one_name_each_have_their_own_modules(tmp_path):
    loaders = []
    for brightness in (10, 20):
        folder = tmp_path / str(brightness)
        folder.mkdir()
        (folder / "loader.py").write_text(
            "import numpy as np\nfrom helper import LEVEL\n"
            "def load():\n    x = np.full((6, 4, 4, 3), LEVEL, np.uint8)\n    return x, [0, 1] * 3, x, [0, 1] * 3\n"
        )
        (folder / "helper.py").write_text(f"LEVEL = {brightness}\n")
        loaders.append(make("function", load="loader:load").looking_in([str(folder)]))
    before = set(sys.modules)
    for _ in range(2):
        assert [10, 20] == [loader.arrays().train_images.max() for loader in loaders]
    assert loaders[0].fingerprint() != loaders[1].fingerprint()
    assert not {"loader", "helper"} & (set(sys.modules) - before)


def test_a_loader_called_like_a_module_of_the_program_is_refused(tmp_path):
    (tmp_path / "secrets.py").write_text(LOADER)
    refused("function", "is loaded under that name; rename one of them", load="secrets:load", path=[str(tmp_path)])


# -------------------------------------------------------------------------------------------------------------- warnings


def test_copies_of_training_images_among_dev_and_test_images_are_told():
    images, labels = rng.integers(0, 256, (30, 4, 4, 1), dtype=np.uint8), np.arange(30) % 3
    dev = np.concatenate([images[4:6], 255 - images[:10]])
    arrays = Arrays.of((images, labels), (dev, np.arange(12) % 3), tuple("abc"), (images[7:8], ("t",)))
    first, second = warnings(arrays)
    assert "2 of 12 dev images are exact duplicates" in first
    assert "(the first: dev row 0 is training row 4)" in first
    assert second.startswith("1 of 1 test images are exact duplicates")


def test_unequal_and_missing_classes_are_told():
    images, labels = labelled(20, 8)
    different = 255 - images
    assert warnings(Arrays.of((images, labels), (different, labels), ("ant", "bee"))) == [
        f"the {name} classes are unequal: 20 images of 'ant', 8 of 'bee' (2.5 x); accuracy says little about the small "
        "ones."
        for name in ("training", "dev")
    ]
    assert warnings(Arrays.of((images, labels), (different, labels * 0), ("ant", "bee")))[1] == (
        "no dev image is of class 'bee'."
    )


def test_equal_classes_without_copies_are_worth_no_warning():
    images, labels = labelled(10, 10)
    assert warnings(Arrays.of((images, labels), (255 - images, labels), ("ant", "bee"))) == []
