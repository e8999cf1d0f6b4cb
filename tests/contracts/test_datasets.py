"""Every data set passes its contract, and the contract catches the ways a data set can be wrong."""

from dataclasses import dataclass

import numpy as np
import pytest

import searchlab.data as data
from searchlab.data import (
    Arrays,
    Batch,
    Csv,
    Digits,
    EveryRow,
    Examples,
    FashionMnist,
    Mnist,
    Npz,
    PennTreebank,
    Rows,
    Spiral,
    Standardized,
    Text,
    TokenStream,
    Vocabulary,
)
from searchlab.data.batch import IGNORED
from searchlab.errors import UserMistake
from searchlab.testing import check_dataset
from tests.images import write_images


def pictures(rows=50, seed=0):
    return np.random.default_rng(seed).integers(256, size=(rows, 3, 4), dtype=np.uint8)


def points(rows=100, seed=0):
    """Features of unlike size and place; the last is constant."""
    drawn = np.random.default_rng(seed).standard_normal((rows, 4))
    return drawn * [1.0, 1e-4, 1e4, 0.0] + [0.0, 1.0, -1e4, 2.0]


WORDS = np.array(["no", "yes"])
CASES = {
    Digits: [Digits()],
    Spiral: [Spiral(), Spiral(points=101, classes=5, noise=0.1, seed=3)],
    Mnist: [Mnist(limit=300)],
    FashionMnist: [FashionMnist()],
    Arrays: [
        Arrays(points(), np.arange(100) % 3),
        Arrays(points(), WORDS[np.arange(100) % 2], standardize=False, groups=np.arange(100) // 7),
        Arrays(points(), points(seed=1)[:, 0], groups=np.arange(100) % 20),
        Arrays(points(), points(seed=1)[:, :2], x_test=points(40, seed=2), y_test=points(40, seed=3)[:, :2]),
        Arrays(pictures(), np.arange(50) % 2 == 0, seed=3),
    ],
    Npz: [Npz("some.npz"), Npz("some.npz", y="targets", standardize=False)],
    PennTreebank: [PennTreebank(), PennTreebank(window=20, limit=5000)],
    Text: [Text("some.txt"), Text("some.txt", unit="char", window=50), Text("some.txt", min_count=3, test=0.3)],
    Csv: [Csv("some.csv", target="kind", groups="group"), Csv("some.csv", target="b", ignore=("kind", "group"))],
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The data folder holds Fashion-MNIST in miniature, an .npz, a .csv and a text."""
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    images = np.random.default_rng(0).integers(256, size=(90, 28, 28), dtype=np.uint8)
    labels = np.arange(90, dtype=np.uint8) % 10
    parts = {"TRAIN_IMAGES": images[:70], "TRAIN_LABELS": labels[:70]}
    parts |= {"TEST_IMAGES": images[70:90], "TEST_LABELS": labels[70:90]}
    write_images(tmp_path, monkeypatch, "fashion-mnist", **parts)
    x = points()
    np.savez(tmp_path / "some.npz", x=x, y=np.arange(100) % 3, targets=points(seed=1))
    lines = [f"{a},{b},{c},{WORDS[n % 2]},group {n % 30}" for n, (a, b, c, _) in enumerate(x)]
    (tmp_path / "some.csv").write_text("\n".join(["a,b,c,kind,group", *lines]))
    words = np.random.default_rng(0).integers(30, size=2000)
    (tmp_path / "some.txt").write_text("".join("\n" if word == 0 else f"{WORDS[word % 2]}{word} " for word in words))


@pytest.mark.parametrize(
    "dataset",
    [one for kind, cases in CASES.items() if kind not in (Mnist, PennTreebank) for one in cases],
    ids=repr,
)
def test_contract(dataset, files):
    check_dataset(dataset)


def test_contract_of_mnist(mnist_files):
    for dataset in CASES[Mnist]:
        check_dataset(dataset)


def test_contract_of_the_penn_treebank(ptb_files):
    for dataset in CASES[PennTreebank]:
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
        return Examples(table.x.astype(np.float64), table.y, table.outputs)


class FractionalLabels(Sound):
    def training(self):
        table = table_of(61)
        return Examples(table.x, table.y.astype(np.float32), table.outputs)


class WithTable(Sound):
    """Its training table is of the class `Table` inside it."""

    def training(self):
        sound = table_of(61)
        return self.Table(sound.x, sound.y, sound.outputs)


class NarrowTargets(Sound):
    def training(self):
        table = table_of(61)
        return Examples(table.x, np.zeros((61, 2), np.float32), table.outputs)


class FlatTargets(Sound):
    def training(self):
        table = table_of(61)
        return Examples(table.x, table.x[:, 0], table.outputs)


class LabelsOfOtherRows(WithTable):
    class Table(Examples):
        @property
        def labels(self):
            return self.y[::-1]


class GroupsOfSomeRows(WithTable):
    class Table(Examples):
        @property
        def groups(self):
            return np.zeros(7, int)


class ScaledByAll(WithTable):
    """Every replica's mean and scale are those of all rows: held-out rows leak into training."""

    class Table(Examples):
        def fitted(self, split):
            everywhere = EveryRow().split(self)[np.zeros(split.folds, int)]
            return standardizing(self).fitted(everywhere)


class ScaledInCompany(WithTable):
    """The first replica's mean and scale serve all, so that a replica's depend on its neighbours."""

    class Table(Examples):
        def fitted(self, split):
            return standardizing(self).fitted(split[np.zeros(split.folds, int)])


class ScalesTargets(WithTable):
    class Table(Examples):
        def fitted(self, split):
            return Both(self, *standardizing(self).fitted(split).scaling)


class Both(Standardized):
    def scoring(self, rows):
        for batch in super().scoring(rows):
            yield Batch(batch.x, batch.y[:, ::-1], batch.weight)


class HalvesWhenFitted(WithTable):
    class Table(Examples):
        def fitted(self, split):
            return Examples(self.x / 2, self.y, self.outputs)


class ShiftsWhenFitted(WithTable):
    class Table(Examples):
        def fitted(self, split):
            return Shifting(self)


class Shifting(Examples):
    """Shows other numbers than the table it was made from, whose checksum it keeps."""

    def __init__(self, table):
        super().__init__(table.x, table.y, table.outputs)

    def scoring(self, rows):
        for batch in super().scoring(rows):
            yield Batch(batch.x + 1, batch.y, batch.weight)


class ForgetsSurvivors(WithTable):
    """Keeps the first mean and scale, whichever replicas go on."""

    class Table(Examples):
        def fitted(self, split):
            return Forgetful(self, *standardizing(self).fitted(split).scaling)


class Forgetful(Standardized):
    def keep_own(self, rows):
        super().keep_own(np.arange(len(rows)))


def standardizing(table):
    return Examples(table.x, table.y, table.outputs, standardize=True)


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


class MiscountsSteps(WithTable):
    class Table(Examples):
        def steps(self, split, batch_size):
            return super().steps(split, batch_size) + (batch_size > 8)

        def epoch(self, split, replicas, batch_size):
            return Examples.epoch(Examples(self.x, self.y, self.outputs), split, replicas, batch_size)


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
    FractionalLabels: "y that is not whole numbers has 3 per row",
    NarrowTargets: "y that is not whole numbers has 3 per row",
    FlatTargets: "y that is not whole numbers has 3 per row",
    LabelsOfOtherRows: "labels are not the targets, row by row",
    GroupsOfSomeRows: "are not one for each row",
    ScaledByAll: "has training rows whose mean is not 0",
    ScaledInCompany: "has training rows whose mean is not 0",
    ScalesTargets: "targets as they are, and of a fitted table",
    HalvesWhenFitted: "fitted, a table has another checksum",
    ShiftsWhenFitted: "rows seen as they are, and fitted",
    ForgetsSurvivors: "survivors, and those fitted anew",
    SkipsLastHeldOut: "does not read each of its held-out rows once",
    WeighsPadding: "does not read each of its held-out rows once",
    TrainsOnHeldOut: "rows that are not its training rows|batches of",
    ReadsRowsTwice: "reads rows twice",
    MiscountsSteps: "steps says 2 of 1 batches",
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


NUMBERS = Vocabulary(tuple(str(number) for number in range(50)))
STREAM = np.random.default_rng(0).integers(50, size=700)


@dataclass
class SoundStream:
    """The broken streams below differ from it in one respect."""

    def training(self):
        return self.Table(STREAM[:600], NUMBERS, 5, validation=np.arange(550, 600))

    def testing(self):
        return TokenStream(STREAM[600:], NUMBERS, 5)

    Table = TokenStream


class TestsOnItsStart(SoundStream):
    __test__ = False

    def testing(self):
        return TokenStream(STREAM[:90], NUMBERS, 5)


class OtherWords(SoundStream):
    class Table(TokenStream):
        sizes = (60,)

    def testing(self):
        return self.Table(STREAM[600:], NUMBERS, 5)


class Unordered(SoundStream):
    class Table(TokenStream):
        ordered = False


class ValidationBefore(SoundStream):
    class Table(TokenStream):
        validation = np.arange(50)


class Rescoring(TokenStream):
    """Changes what is scored of rows that are not all."""

    def scoring(self, rows):
        batches = list(super().scoring(rows))
        return batches if rows.counts[0] > 400 else self.changed(rows, batches)


class SkipsTheLastWindow(SoundStream):
    class Table(Rescoring):
        def changed(self, rows, batches):
            return batches[:-1]


class AsksTwice(SoundStream):
    class Table(Rescoring):
        def changed(self, rows, batches):
            return batches + batches


class AsksForTheInput(SoundStream):
    class Table(Rescoring):
        def changed(self, rows, batches):
            return [Batch(batch.x, np.where(batch.y == IGNORED, IGNORED, batch.x)) for batch in batches]


class AsksPastTheEnd(SoundStream):
    class Table(TokenStream):
        def scoring(self, rows):
            return [Batch(batch.x, np.maximum(batch.y, 0)) for batch in super().scoring(rows)]


class LanesByCompany(SoundStream):
    """Lanes are as long as those of the longest fold read with it."""

    class Table(TokenStream):
        def scoring(self, rows):
            window = self.window if len(rows.counts) == 1 else self.window + 1
            return TokenStream.scoring(TokenStream(self.ids, NUMBERS, window), rows)


class WeighsTokens(SoundStream):
    class Table(TokenStream):
        def scoring(self, rows):
            return [Batch(batch.x, batch.y, np.ones(batch.y.shape)) for batch in super().scoring(rows)]


class Rereading(TokenStream):
    def epoch(self, split, replicas, batch_size):
        return self.changed(list(super().epoch(split, replicas, batch_size)), replicas)


class ShufflesWindows(SoundStream):
    class Table(Rereading):
        def changed(self, batches, replicas):
            return batches[::-1]


class MisplacesTargets(SoundStream):
    class Table(Rereading):
        def changed(self, batches, replicas):
            return [Batch(batch.x, np.roll(batch.y, 1, axis=1)) for batch in batches]


class BatchMajor(SoundStream):
    class Table(Rereading):
        def changed(self, batches, replicas):
            return [Batch(batch.x.swapaxes(1, 2), batch.y.swapaxes(1, 2)) for batch in batches]


class ForgetsLastWindow(SoundStream):
    class Table(Rereading):
        def changed(self, batches, replicas):
            return batches[:-1]


class LanesBySeed(SoundStream):
    class Table(Rereading):
        def changed(self, batches, replicas):
            if len(set(replicas.seeds.tolist())) == 3 and (batches[0].x[0] != batches[0].x[1]).any():
                return batches  # folds, not seeds, set these apart
            return [
                Batch(np.roll(batch.x, int(replicas.seeds[0]) % 2 + replicas.count, axis=2), batch.y)
                for batch in batches
            ]


class ReadsHeldOutTokens(SoundStream):
    class Table(TokenStream):
        def epoch(self, split, replicas, batch_size):
            everything = Rows.of([np.arange(len(self))] * split.folds)
            return super().epoch(type(split)(everything, split.held_out, split.shortest), replicas, batch_size)


class FitsAnotherText(SoundStream):
    class Table(TokenStream):
        def fitted(self, split):
            return TokenStream(self.ids[::-1], NUMBERS, self.window)


BROKEN_STREAMS = {
    TestsOnItsStart: "of the test part's windows are in the training part",
    OtherWords: r"sizes \(60,\) of 50 words",
    Unordered: "training rows are ordered and test rows are not, or",
    ValidationBefore: "validation part is not at its end",
    SkipsTheLastWindow: "does not ask for each of its tokens|go on|does not begin",
    AsksTwice: "an input is not the target before it|goes on after",
    AsksForTheInput: "an input is not the target before it",
    AsksPastTheEnd: "scoring all 600 tokens asks for 600, not 599",
    LanesByCompany: "scored in company and alone",
    WeighsTokens: "and no weight",
    ShufflesWindows: "windows of fold 0 do not follow",
    MisplacesTargets: "targets of fold 0 are not the tokens that follow",
    BatchMajor: "tokens are read of lanes of|do not follow",
    ForgetsLastWindow: "steps says",
    LanesBySeed: "in company, and another alone",
    ReadsHeldOutTokens: "windows of fold 0 do not follow",
    FitsAnotherText: "fitted, a table has another checksum",
}


def test_the_sound_twin_of_the_broken_streams_passes():
    check_dataset(SoundStream())


@pytest.mark.parametrize("dataset", BROKEN_STREAMS)
def test_contract_catches_streams(dataset):
    with pytest.raises(AssertionError, match=BROKEN_STREAMS[dataset]):
        check_dataset(dataset())
