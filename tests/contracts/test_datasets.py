"""Every data set passes its contract, and the contract catches the ways a data set can be wrong."""

from dataclasses import dataclass

import numpy as np
import pytest

import searchlab.data as data
from searchlab.data import Batch, Digits, Examples, Mnist, Spiral
from searchlab.errors import UserMistake
from searchlab.testing import check_dataset

CASES = {
    Digits: [Digits()],
    Spiral: [Spiral(), Spiral(points=101, classes=5, noise=0.1, seed=3)],
    Mnist: [Mnist(limit=300)],
}


@pytest.mark.parametrize("dataset", [one for cases in CASES.values() for one in cases if not isinstance(one, Mnist)])
def test_contract(dataset):
    check_dataset(dataset)


def test_contract_of_mnist(mnist_files):
    for dataset in CASES[Mnist]:
        check_dataset(dataset)


def test_every_exported_data_set_has_a_case():
    words = [getattr(data, word) for word in data.__all__]
    sets = [kind for kind in words if callable(getattr(kind, "training", None)) and kind is not data.Dataset]
    assert set(sets) == set(CASES)


def test_mnist_is_whole(mnist_files):
    training, testing = Mnist().training(), Mnist().testing()
    assert (len(training), len(testing)) == (60_000, 10_000)
    assert training.sizes == testing.sizes == (784, 10)
    assert (training.x.min(), training.x.max()) == (0.0, 1.0)
    assert training.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert Mnist(limit=7).training().checksum() == training.take(np.arange(7)).checksum()
    assert len(Mnist(limit=7).testing()) == 10_000


def test_digits_are_those_of_scikit_learn():
    training, testing = Digits().training(), Digits().testing()
    assert (len(training), len(testing)) == (1437, 360)
    assert training.sizes == (64, 10)
    counts = np.bincount(training.y) + np.bincount(testing.y)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (training.x.min(), training.x.max()) == (0.0, 1.0)
    assert set(np.unique(training.x * 16.0)) <= set(range(17))


def test_spiral_arms_start_in_the_centre_and_wind_out():
    table = Spiral(points=50, classes=3, noise=0.0).training()
    radius = np.hypot(table.x[:, 0], table.x[:, 1]).reshape(3, 50)
    assert np.allclose(radius, np.arange(50) / 50.0, atol=1e-6)
    assert table.y.tolist() == [0] * 50 + [1] * 50 + [2] * 50
    assert Spiral(seed=1).training().checksum() != Spiral(seed=2).training().checksum()


@pytest.mark.parametrize("wrong", [{"points": 0}, {"classes": 1}, {"noise": -0.1}])
def test_spiral_refuses_what_it_cannot_draw(wrong):
    with pytest.raises(UserMistake, match="points >= 1, classes >= 2 and noise >= 0"):
        Spiral(**wrong)


def table_of(rows, seed=0, classes=3):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, 4)).astype(np.float32)
    return Examples(x, generator.integers(classes, size=rows), classes)


@dataclass
class Sound:
    """The broken data sets below differ from it in one respect."""

    def training(self):
        return table_of(61)

    def testing(self):
        return table_of(20, seed=1)


class Restless(Sound):
    reads = 0

    def training(self):
        self.reads += 1
        return table_of(61, seed=self.reads)


class TestsOnTraining(Sound):
    __test__ = False

    def testing(self):
        return self.training().take(np.arange(20))


class OtherSizes(Sound):
    def testing(self):
        return table_of(20, seed=1, classes=2)


class LabelsOutside(Sound):
    def training(self):
        table = table_of(61)
        table.y[3] = 3
        return table


class Wide(Sound):
    def training(self):
        table = table_of(61)
        return Examples(table.x.astype(np.float64), table.y, table.classes)


class FractionalLabels(Sound):
    def training(self):
        table = table_of(61)
        return Examples(table.x, table.y.astype(np.float32), table.classes)


class WithTable(Sound):
    """Its training table is of the class `Table` inside it."""

    def training(self):
        sound = table_of(61)
        return self.Table(sound.x, sound.y, sound.classes)


class SkipsLastHeldOut(WithTable):
    class Table(Examples):
        def scoring(self, rows, *rest):
            for batch in super().scoring(rows, *rest):
                yield batch if rows.index.shape[1] > 30 else Batch(batch.x[:, 1:], batch.y[:, 1:], None)


class WeighsPadding(WithTable):
    class Table(Examples):
        def scoring(self, rows, *rest):
            for batch in super().scoring(rows, *rest):
                yield Batch(batch.x, batch.y, None)


class TrainsOnHeldOut(WithTable):
    class Table(Examples):
        def epoch(self, split, replicas, batch_size):
            return super().epoch(type(split)(split.held_out, split.train, split.shortest // 3), replicas, batch_size)


class ReadsRowsTwice(WithTable):
    class Table(Examples):
        def epoch(self, split, replicas, batch_size):
            for batch in super().epoch(split, replicas, batch_size):
                yield Batch(np.repeat(batch.x[:, :1], batch.x.shape[1], axis=1), batch.y)


class ForgetsLastBatch(WithTable):
    class Table(Examples):
        def epoch(self, *given):
            return iter(list(super().epoch(*given))[:-1])


class OneOrderForAll(WithTable):
    class Table(Examples):
        def epoch(self, split, replicas, batch_size):
            one = type(replicas)([int(replicas.seeds[0])] * replicas.count)
            one.restore(replicas.state())
            replicas.skip_draw()
            return super().epoch(split, one, batch_size)


class OneOrderForEver(WithTable):
    class Table(Examples):
        def epoch(self, split, replicas, batch_size):
            return super().epoch(split, type(replicas)(replicas.seeds.tolist()), batch_size)


class OrderByRow(WithTable):
    """Shuffles by the row number in the group, so that a replica's order depends on its neighbours."""

    class Table(Examples):
        def epoch(self, split, replicas, batch_size):
            mine = type(replicas)((replicas.seeds + np.arange(replicas.count, dtype=np.uint64)).tolist())
            return super().epoch(split, mine, batch_size)


BROKEN = {
    Restless: "read twice has two checksums",
    TestsOnTraining: "of the test rows are training rows",
    OtherSizes: "have sizes",
    LabelsOutside: r"lies outside \[0, 3\)",
    Wide: "x is float32 or whole numbers, not float64",
    FractionalLabels: "y is whole numbers",
    SkipsLastHeldOut: "does not read each of its held-out rows once",
    WeighsPadding: "does not read each of its held-out rows once",
    TrainsOnHeldOut: "rows that are not its training rows|batches of",
    ReadsRowsTwice: "reads rows twice",
    ForgetsLastBatch: "in an epoch of",
    OneOrderForAll: "two seeds see one order",
    OneOrderForEver: "two epochs have one order",
    OrderByRow: "one seed and one fold see two orders",
}


def test_the_sound_twin_of_the_broken_data_sets_passes():
    check_dataset(Sound())


@pytest.mark.parametrize("dataset", BROKEN)
def test_contract_catches(dataset):
    with pytest.raises(AssertionError, match=BROKEN[dataset]):
        check_dataset(dataset())
