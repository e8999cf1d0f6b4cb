"""Every data set passes its contract, and the contract catches the ways in which a data set can be wrong."""

import io
from dataclasses import dataclass

import numpy as np
import pandas
import pytest
from PIL import Image

import searchlab.data as data
import searchlab.tables as tables
from searchlab.data import (
    Addition,
    Arrays,
    Batch,
    ContextWindows,
    Dates,
    Digits,
    EveryRow,
    Examples,
    FashionMnist,
    Images,
    Mnist,
    Npz,
    Pairs,
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
from searchlab.tables import Csv, Frame
from searchlab.testing import check_dataset
from tests.images import write_images


def images(rows=50, seed=0):
    return np.random.default_rng(seed).integers(256, size=(rows, 3, 4), dtype=np.uint8)


def points(rows=100, seed=0):
    """Return features of different mean and scale; the last is constant."""
    values = np.random.default_rng(seed).standard_normal((rows, 4))
    return values * [1.0, 1e-4, 1e4, 0.0] + [0.0, 1.0, -1e4, 2.0]


def mixed_table(rows=120, seed=0):
    """Return a CSV of words, dates, booleans, codes and numbers, of which some are empty and some words rare."""
    generator = np.random.default_rng(seed)
    colors = generator.choice(["red", "green", "blue", "rare one", "rare two"], rows, p=[0.45, 0.3, 0.2, 0.03, 0.02])
    days = np.datetime64("2023-12-20") + generator.integers(40, size=rows)
    lines = ["size,half,weight,color,day,seen,sold,grade,kind"]
    for row in range(rows):
        cells = [generator.normal(), colors[row], days[row], f"{days[row]} 0{row % 10}:30", row % 3 == 0, row % 4]
        cells = ["" if generator.random() < 0.1 and place != 2 else cell for place, cell in enumerate(cells)]
        lines.append(",".join(map(str, [row * 0.5, row * 0.25, *cells, ANSWERS[row % 2]])))
    return "\n".join(lines)


ANSWERS = np.array(["no", "yes"])
CASES = {
    Digits: [Digits()],
    Spiral: [Spiral(), Spiral(points=101, classes=5, noise=0.1, seed=3)],
    Mnist: [Mnist(limit=300)],
    FashionMnist: [FashionMnist()],
    Arrays: [
        Arrays(points(), np.arange(100) % 3),
        Arrays(points(), ANSWERS[np.arange(100) % 2], standardize=False, groups=np.arange(100) // 7),
        Arrays(points(), points(seed=1)[:, 0], groups=np.arange(100) % 20),
        Arrays(points(), points(seed=1)[:, :2], x_test=points(40, seed=2), y_test=points(40, seed=3)[:, :2]),
        Arrays(images(), np.arange(50) % 2 == 0, seed=3),
    ],
    Npz: [Npz("data.npz"), Npz("data.npz", y="targets", standardize=False)],
    PennTreebank: [PennTreebank(), PennTreebank(window=20, limit=5000)],
    ContextWindows: [ContextWindows(Text("data.txt"), max_window=3), ContextWindows(Text("data.txt", min_count=3))],
    Text: [Text("data.txt"), Text("data.txt", unit="char", window=50), Text("data.txt", min_count=3, test_size=0.3)],
    Addition: [Addition(rows=200), Addition(digits=2, rows=100, seed=3, test_size=0.3)],
    Dates: [Dates(rows=200)],
    Pairs: [
        Pairs("pairs.tsv"),
        Pairs("pairs.tsv", unit="word", min_count=2),
        Pairs("pairs.tsv", shared_vocabulary=True, padding="learned", test_size=0.3),
    ],
    Images: [Images("shapes", image_size=4), Images("shapes", image_size=(3, 5), color_mode="rgb", standardize=True)],
    Frame: [
        Frame(pandas.DataFrame(points(), columns=[*"abcd"]).assign(kind=ANSWERS[np.arange(100) % 2]), target="kind"),
        Frame(pandas.read_csv(io.StringIO(mixed_table())), target="size", categorical="grade", groups="day"),
    ],
    Csv: [
        Csv("data.csv", target="kind", groups="group"),
        Csv("data.csv", target="b", drop=("kind", "group")),
        Csv("mixed.csv", target="kind", positive="no"),
        Csv("mixed.csv", target="size", min_frequency=0.05, max_categories=2, standardize=False),
        Csv("mixed.csv", target=("size", "half"), categorical="grade", groups="day", dates=("seen",)),
    ],
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Fashion-MNIST in miniature, an .npz, a .csv and a text in the data folder."""
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    pixels = np.random.default_rng(0).integers(256, size=(90, 28, 28), dtype=np.uint8)
    labels = np.arange(90, dtype=np.uint8) % 10
    parts = {"TRAIN_IMAGES": pixels[:70], "TRAIN_LABELS": labels[:70]}
    parts |= {"TEST_IMAGES": pixels[70:90], "TEST_LABELS": labels[70:90]}
    write_images(tmp_path, monkeypatch, "fashion-mnist", **parts)
    x = points()
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(100) % 3, targets=points(seed=1))
    lines = [f"{a},{b},{c},{ANSWERS[n % 2]},group {n % 30}" for n, (a, b, c, _) in enumerate(x)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c,kind,group", *lines]))
    (tmp_path / "mixed.csv").write_text(mixed_table())
    numbers = np.random.default_rng(0).integers(40, size=(150, 2))  # some sources occur twice
    (tmp_path / "pairs.tsv").write_text("".join(f"{a} and {b}\t{a + b} in all\n" for a, b in numbers))
    for number in range(40):
        (folder := tmp_path / "shapes" / ANSWERS[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[number]).save(folder / f"{number}.png")
    words = np.random.default_rng(0).integers(30, size=2000)
    (tmp_path / "data.txt").write_text("".join("\n" if word == 0 else f"{ANSWERS[word % 2]}{word} " for word in words))


@pytest.mark.parametrize(
    "dataset",
    [dataset for kind, cases in CASES.items() if kind not in (Mnist, PennTreebank) for dataset in cases],
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
    exported = {getattr(package, name) for package in (data, tables) for name in package.__all__} - {data.Dataset}
    assert {item for item in exported if callable(getattr(item, "training", None))} == set(CASES)


def test_mnist_is_complete(mnist_files):
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


def test_spiral_arms_start_in_the_center():
    training = Spiral(points=50, classes=3, noise=0.0).training()
    radius = np.hypot(training.x[:, 0], training.x[:, 1]).reshape(3, 50)
    assert np.allclose(radius, np.arange(50) / 50.0, atol=1e-6)
    assert training.y.tolist() == [0] * 50 + [1] * 50 + [2] * 50
    assert Spiral(seed=1).training().checksum() != Spiral(seed=2).training().checksum()


@pytest.mark.parametrize("arguments", [{"points": 0}, {"classes": 1}, {"noise": -0.1}])
def test_spiral_rejects_arguments_out_of_range(arguments):
    with pytest.raises(UserMistake, match="points >= 1, classes >= 2 and noise >= 0"):
        Spiral(**arguments)


def examples(rows, seed=0, classes=3):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, 4)).astype(np.float32)
    return Examples(x, generator.integers(classes, size=rows), classes)


@dataclass
class CorrectDataset:
    """A correct data set; each broken one below differs from it in one respect."""

    def training(self):
        return examples(61)

    def testing(self):
        return examples(20, seed=1)


class OtherRowsEachTime(CorrectDataset):
    reads = 0

    def training(self):
        self.reads += 1
        return examples(61, seed=self.reads)


class TestRowsInTraining(CorrectDataset):
    __test__ = False

    def testing(self):
        return self.training().take(np.arange(20))


class OtherTestSizes(CorrectDataset):
    def testing(self):
        return examples(20, seed=1, classes=2)


class LabelsOutOfRange(CorrectDataset):
    def training(self):
        rows = examples(61)
        rows.y[3] = 3
        return rows


class Float64Inputs(CorrectDataset):
    def training(self):
        rows = examples(61)
        return Examples(rows.x.astype(np.float64), rows.y, rows.outputs)


class FractionalLabels(CorrectDataset):
    def training(self):
        rows = examples(61)
        return Examples(rows.x, rows.y.astype(np.float32), rows.outputs)


class WithLoaded(CorrectDataset):
    """A data set whose training rows are of the class `Loaded` inside it."""

    def training(self):
        rows = examples(61)
        return self.Loaded(rows.x, rows.y, rows.outputs)


class TooFewTargets(CorrectDataset):
    def training(self):
        rows = examples(61)
        return Examples(rows.x, np.zeros((61, 2), np.float32), rows.outputs)


class FlatTargets(CorrectDataset):
    def training(self):
        rows = examples(61)
        return Examples(rows.x, rows.x[:, 0], rows.outputs)


class LabelsOfOtherRows(WithLoaded):
    class Loaded(Examples):
        @property
        def labels(self):
            return self.y[::-1]


class GroupsOfSomeRows(WithLoaded):
    class Loaded(Examples):
        @property
        def groups(self):
            return np.zeros(7, int)


class ScaledByAll(WithLoaded):
    """Uses the mean and scale of all rows for each replica, so that held-out rows leak into training."""

    class Loaded(Examples):
        def fitted(self, split):
            all_rows = EveryRow().split(self)[np.zeros(split.folds, int)]
            return standardizing(self).fitted(all_rows)


class ScaledByFirstReplica(WithLoaded):
    """Uses the first replica's mean and scale for all, so that they depend on which replicas train side by side."""

    class Loaded(Examples):
        def fitted(self, split):
            return standardizing(self).fitted(split[np.zeros(split.folds, int)])


class ReversesTargets(WithLoaded):
    class Loaded(Examples):
        def fitted(self, split):
            return ReversedTargets(self, standardizing(self).fitted(split).scaling)


class ReversedTargets(Standardized):
    def scoring_batches(self, rows):
        for batch in super().scoring_batches(rows):
            yield Batch(batch.x, batch.y[:, ::-1], batch.weight)


class HalvesWhenFitted(WithLoaded):
    class Loaded(Examples):
        def fitted(self, split):
            return Examples(self.x / 2, self.y, self.outputs)


class ShiftsWhenFitted(WithLoaded):
    class Loaded(Examples):
        def fitted(self, split):
            return Shifted(self)


class Shifted(Examples):
    """Shows other numbers than the rows that it was made from, with their checksum."""

    def __init__(self, rows):
        super().__init__(rows.x, rows.y, rows.outputs)

    def scoring_batches(self, rows):
        for batch in super().scoring_batches(rows):
            yield Batch(batch.x + 1, batch.y, batch.weight)


class KeepsFirstScaling(WithLoaded):
    """Keeps the first means and scales, whichever replicas continue."""

    class Loaded(Examples):
        def fitted(self, split):
            return FirstScaling(self, standardizing(self).fitted(split).scaling)


class FirstScaling(Standardized):
    def select_replicas(self, rows):
        super().select_replicas(np.arange(len(rows)))


def standardizing(rows):
    return Examples(rows.x, rows.y, rows.outputs, standardize=True)


class SkipsLastHeldOut(WithLoaded):
    class Loaded(Examples):
        def scoring_batches(self, rows, *rest):
            for batch in super().scoring_batches(rows, *rest):
                yield batch if rows.index.shape[1] > 30 else Batch(batch.x[:, 1:], batch.y[:, 1:], None)


class CountsPadding(WithLoaded):
    class Loaded(Examples):
        def scoring_batches(self, rows, *rest):
            for batch in super().scoring_batches(rows, *rest):
                yield Batch(batch.x, batch.y, None)


class TrainsOnHeldOut(WithLoaded):
    class Loaded(Examples):
        def training_batches(self, split, replicas, batch_size):
            swapped = type(split)(split.held_out, split.train, split.min_train_rows // 3)
            return super().training_batches(swapped, replicas, batch_size)


class ReadsRowsTwice(WithLoaded):
    class Loaded(Examples):
        def training_batches(self, split, replicas, batch_size):
            for batch in super().training_batches(split, replicas, batch_size):
                yield Batch(np.repeat(batch.x[:, :1], batch.x.shape[1], axis=1), batch.y)


class SkipsLastBatch(WithLoaded):
    class Loaded(Examples):
        def training_batches(self, *arguments):
            return iter(list(super().training_batches(*arguments))[:-1])


class WrongStepsPerEpoch(WithLoaded):
    class Loaded(Examples):
        def steps_per_epoch(self, split, batch_size):
            return super().steps_per_epoch(split, batch_size) + (batch_size > 8)

        def training_batches(self, split, replicas, batch_size):
            return Examples.training_batches(Examples(self.x, self.y, self.outputs), split, replicas, batch_size)


class SameOrderForAllSeeds(WithLoaded):
    class Loaded(Examples):
        def training_batches(self, split, replicas, batch_size):
            same_seed = type(replicas)([int(replicas.seeds[0])] * replicas.count)
            same_seed.restore(replicas.state())
            replicas.skip_draw()
            return super().training_batches(split, same_seed, batch_size)


class SameOrderInAllEpochs(WithLoaded):
    class Loaded(Examples):
        def training_batches(self, split, replicas, batch_size):
            return super().training_batches(split, type(replicas)(replicas.seeds.tolist()), batch_size)


class OrderByReplicaNumber(WithLoaded):
    """Shuffles by the replica's number, so that its order depends on which replicas train side by side."""

    class Loaded(Examples):
        def training_batches(self, split, replicas, batch_size):
            numbered = type(replicas)((replicas.seeds + np.arange(replicas.count, dtype=np.uint64)).tolist())
            return super().training_batches(split, numbered, batch_size)


BROKEN = {
    OtherRowsEachTime: "read twice has two checksums",
    TestRowsInTraining: "of the test rows are training rows",
    OtherTestSizes: "have sizes",
    LabelsOutOfRange: r"lies outside \[0, 3\)",
    Float64Inputs: "a trainer needs float32 or ids, not float64",
    FractionalLabels: "y that is not whole numbers has 3 per row",
    TooFewTargets: "y that is not whole numbers has 3 per row",
    FlatTargets: "y that is not whole numbers has 3 per row",
    LabelsOfOtherRows: "labels are not the targets, row by row",
    GroupsOfSomeRows: "are not one for each row",
    ScaledByAll: "has training rows whose mean is not 0",
    ScaledByFirstReplica: "has training rows whose mean is not 0",
    ReversesTargets: "targets before and after fitted",
    HalvesWhenFitted: "changes the checksum",
    ShiftsWhenFitted: "inputs before and after fitted",
    KeepsFirstScaling: "survivors after select_replicas",
    SkipsLastHeldOut: "does not read each of its held-out rows once",
    CountsPadding: "does not read each of its held-out rows once",
    TrainsOnHeldOut: "rows that are not its training rows|batches of",
    ReadsRowsTwice: "reads rows twice",
    WrongStepsPerEpoch: "steps_per_epoch is 2, and an epoch has 1 batches",
    SkipsLastBatch: "in an epoch of",
    SameOrderForAllSeeds: "two seeds read rows in one order",
    SameOrderInAllEpochs: "two epochs read rows in one order",
    OrderByReplicaNumber: "one seed and one fold read rows in two orders",
}


def test_the_correct_dataset_passes():
    check_dataset(CorrectDataset())


@pytest.mark.parametrize("dataset", BROKEN)
def test_contract_catches(dataset):
    with pytest.raises(AssertionError, match=BROKEN[dataset]):
        check_dataset(dataset())


NUMBERS = Vocabulary(tuple(str(number) for number in range(50)))
STREAM = np.random.default_rng(0).integers(50, size=700)


@dataclass
class CorrectStream:
    """A correct stream; each broken one below differs from it in one respect."""

    def training(self):
        return self.Loaded(STREAM[:600], NUMBERS, 5, validation_rows=np.arange(550, 600))

    def testing(self):
        return TokenStream(STREAM[600:], NUMBERS, 5)

    Loaded = TokenStream


class TestsOnTrainingText(CorrectStream):
    __test__ = False

    def testing(self):
        return TokenStream(STREAM[:90], NUMBERS, 5)


class WrongVocabularySize(CorrectStream):
    class Loaded(TokenStream):
        sizes = (60,)

    def testing(self):
        return self.Loaded(STREAM[600:], NUMBERS, 5)


class NotOrdered(CorrectStream):
    class Loaded(TokenStream):
        is_ordered = False


class ValidationAtTheStart(CorrectStream):
    class Loaded(TokenStream):
        validation_rows = np.arange(50)


class ChangedScoring(TokenStream):
    """Changes the scoring batches of rows that are not all rows."""

    def scoring_batches(self, rows):
        batches = list(super().scoring_batches(rows))
        return batches if rows.counts[0] > 400 else self.changed(rows, batches)


class SkipsLastScoringWindow(CorrectStream):
    class Loaded(ChangedScoring):
        def changed(self, rows, batches):
            return batches[:-1]


class ScoresTwice(CorrectStream):
    class Loaded(ChangedScoring):
        def changed(self, rows, batches):
            return batches + batches


class TargetsAreInputs(CorrectStream):
    class Loaded(ChangedScoring):
        def changed(self, rows, batches):
            return [Batch(batch.x, np.where(batch.y == IGNORED, IGNORED, batch.x)) for batch in batches]


class TargetsPastTheEnd(CorrectStream):
    class Loaded(TokenStream):
        def scoring_batches(self, rows):
            return [Batch(batch.x, np.maximum(batch.y, 0)) for batch in super().scoring_batches(rows)]


class StreamLengthByReplicas(CorrectStream):
    """Reads longer windows where several replicas are scored side by side."""

    class Loaded(TokenStream):
        def scoring_batches(self, rows):
            window = self.window if len(rows.counts) == 1 else self.window + 1
            return TokenStream.scoring_batches(TokenStream(self.ids, NUMBERS, window), rows)


class WeighsTokens(CorrectStream):
    class Loaded(TokenStream):
        def scoring_batches(self, rows):
            return [Batch(batch.x, batch.y, np.ones(batch.y.shape)) for batch in super().scoring_batches(rows)]


class ChangedEpoch(TokenStream):
    def training_batches(self, split, replicas, batch_size):
        return self.changed(list(super().training_batches(split, replicas, batch_size)), replicas)


class ShufflesWindows(CorrectStream):
    class Loaded(ChangedEpoch):
        def changed(self, batches, replicas):
            return batches[::-1]


class ShiftedTargets(CorrectStream):
    class Loaded(ChangedEpoch):
        def changed(self, batches, replicas):
            return [Batch(batch.x, np.roll(batch.y, 1, axis=1)) for batch in batches]


class BatchMajor(CorrectStream):
    class Loaded(ChangedEpoch):
        def changed(self, batches, replicas):
            return [Batch(batch.x.swapaxes(1, 2), batch.y.swapaxes(1, 2)) for batch in batches]


class SkipsLastWindow(CorrectStream):
    class Loaded(ChangedEpoch):
        def changed(self, batches, replicas):
            return batches[:-1]


class StreamsBySeed(CorrectStream):
    class Loaded(ChangedEpoch):
        def changed(self, batches, replicas):
            if len(set(replicas.seeds.tolist())) == 3 and (batches[0].x[0] != batches[0].x[1]).any():
                return batches  # folds, not seeds, make these differ
            return [
                Batch(np.roll(batch.x, int(replicas.seeds[0]) % 2 + replicas.count, axis=2), batch.y)
                for batch in batches
            ]


class ReadsHeldOutTokens(CorrectStream):
    class Loaded(TokenStream):
        def training_batches(self, split, replicas, batch_size):
            all_rows = Rows.from_folds([np.arange(len(self))] * split.folds)
            leaking = type(split)(all_rows, split.held_out, split.min_train_rows)
            return super().training_batches(leaking, replicas, batch_size)


class FitsOtherTokens(CorrectStream):
    class Loaded(TokenStream):
        def fitted(self, split):
            return TokenStream(self.ids[::-1], NUMBERS, self.window)


BROKEN_STREAMS = {
    TestsOnTrainingText: "of the windows of the test part are in the training part",
    WrongVocabularySize: r"sizes \(60,\) of 50 words",
    NotOrdered: "differ in is_ordered",
    ValidationAtTheStart: "validation part of the corpus is not at its end",
    SkipsLastScoringWindow: "does not predict each of its tokens|does not begin",
    ScoresTwice: "an input is not the target before it|continues after its end",
    TargetsAreInputs: "an input is not the target before it",
    TargetsPastTheEnd: "scoring all 600 tokens has 600 targets, not 599",
    StreamLengthByReplicas: "scored together with others and alone",
    WeighsTokens: "a batch of tokens has no weight",
    ShufflesWindows: "windows do not follow each other",
    ShiftedTargets: "an input is not the target before it",
    BatchMajor: "a batch of 3 streams is",
    SkipsLastWindow: "steps_per_epoch is",
    StreamsBySeed: "with others, and a replica of another seed alone",
    ReadsHeldOutTokens: "does not predict each training token of fold",
    FitsOtherTokens: "changes the checksum",
}


def test_the_correct_stream_passes():
    check_dataset(CorrectStream())


@pytest.mark.parametrize("dataset", BROKEN_STREAMS)
def test_contract_catches_streams(dataset):
    with pytest.raises(AssertionError, match=BROKEN_STREAMS[dataset]):
        check_dataset(dataset())
