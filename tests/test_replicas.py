"""The replica axis: a random number depends on its replica's seed, the draw and the position, and on nothing else."""

import numpy as np
import pytest

from searchlab.replicas import HasReplicaAxis, Replicas, align, fold_seeds
from searchlab.replicas.replicas import DRAWS_PER_KEY_BLOCK

SEEDS = [3, 14, 15, 2**64 - 1]
SHAPE = (4, 50, 41)  # an odd number of positions

EXPECTED_NORMAL = [0.3375714466967798, -0.7821534784435413, -0.3160252007782352]
EXPECTED_ORDER = [3, 4, 5, 1, 0, 2]
EXPECTED_MASK = [0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0]
EXPECTED_SEEDS = [15793235383387715774, 5836529245451711556]


def draw_masks(replicas, draws=1, shape=SHAPE, rate=0.5):
    rates = np.full(replicas.count, rate, dtype=np.float32)
    return [replicas.bernoulli(rates, (replicas.count, *shape[1:])) for _ in range(draws)]


def correlation(a, b):
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    return float((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 0.5, 0.65, 0.999])
def test_masks_have_their_rate(rate):
    replicas = Replicas(range(4))
    mask = np.stack(draw_masks(replicas, draws=20, rate=rate))  # (20, R, ...)
    frequency = mask.mean(axis=(0, 2, 3))  # (R,)
    deviation = np.sqrt(rate * (1.0 - rate) / (mask.size / 4))
    assert (np.abs(frequency - rate) <= 4.0 * deviation + 1.0 / 65_536.0).all()


def test_each_replica_has_its_own_rate():
    rates = np.array([0.0, 0.25, 0.5, 0.9], dtype=np.float32)
    frequency = Replicas(SEEDS).bernoulli(rates, (4, 200, 200)).mean(axis=(1, 2))
    assert frequency[0] == 0.0
    assert frequency == pytest.approx(rates, abs=0.01)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.5, 0.999, 1 - 1e-7])
def test_probabilities_are_rounded_to_the_nearest_65536th(rate, monkeypatch):
    every_number = np.arange(65_536, dtype=np.uint16).view(np.uint32)[None]
    monkeypatch.setattr(Replicas, "random_uint32", lambda self, count: every_number)
    drawn = Replicas([1]).bernoulli(np.array([rate], np.float32), (1, 65_536))
    assert drawn.sum() == min(round(float(np.float32(rate)) * 65_536), 65_535)


def test_masks_of_different_seeds_draws_and_positions_are_uncorrelated():
    replicas = Replicas(range(8))  # consecutive seeds: the hardest case for a hash
    mask = np.stack(draw_masks(replicas, draws=6, shape=(8, 100, 100))).astype(np.float64)  # (draws, R, ...)
    bound = 5.0 / np.sqrt(mask[0, 0].size)
    for seed in range(1, 8):
        assert abs(correlation(mask[0, 0], mask[0, seed])) < bound
    for draw in range(1, 6):
        assert abs(correlation(mask[0, 0], mask[draw, 0])) < bound
    for one, other in ((0, 1), (1, 0), (2, 3)):  # seed and draw must not be interchangeable
        assert abs(correlation(mask[one, other], mask[other, one])) < bound
    for offset in (1, 2, 3, 7, 64, 100, 256):
        flat = mask[0, 0].ravel()
        assert abs(correlation(flat[offset:], flat[:-offset])) < bound


def test_every_position_is_equally_likely():
    """Over many draws no position is favored, and neither half of a hashed word."""
    count = np.sum(draw_masks(Replicas([1]), draws=2000, shape=(1, 10, 11)), axis=0)[0]
    assert np.abs(count - 1000.0).max() < 5.0 * np.sqrt(500.0)


@pytest.mark.parametrize("rows", [[0], [3], [2, 0], [1, 1], [3, 2, 1, 0]])
def test_draws_do_not_depend_on_other_replicas(rows):
    whole, part = Replicas(SEEDS), Replicas([SEEDS[r] for r in rows])
    counts = np.array([9, 12, 9, 30])
    for _ in range(3):
        assert (draw_masks(part)[0] == draw_masks(whole)[0][rows]).all()
        assert (part.normal(3, 2) == whole.normal(3, 2)[rows]).all()
        assert (part.uniform(5) == whole.uniform(5)[rows]).all()
        assert (part.permutations(counts[rows], 9) == whole.permutations(counts, 9)[rows]).all()


@pytest.mark.parametrize(
    "before", [0, 1, DRAWS_PER_KEY_BLOCK - 1, DRAWS_PER_KEY_BLOCK, DRAWS_PER_KEY_BLOCK + 1, 2 * DRAWS_PER_KEY_BLOCK]
)
def test_draws_after_any_number_of_draws(before):
    """Keys are hashed in blocks: drawing, skipping and restoring a count agree on both sides of a block's end."""
    drawn, skipped, restored = Replicas(SEEDS), Replicas(SEEDS), Replicas(SEEDS)
    draw_masks(drawn, draws=before, shape=(4, 2))
    for _ in range(before):
        skipped.skip_draw()
    restored.restore({"draws": np.full(4, before)})
    expected = draw_masks(restored, draws=3)
    for replicas in (drawn, skipped):
        assert (np.stack(draw_masks(replicas, draws=3)) == np.stack(expected)).all()
        assert (replicas.state()["draws"] == before + 3).all()


def test_every_kind_of_draw_counts_once():
    drawing, skipping = Replicas(SEEDS), Replicas(SEEDS)
    drawing.normal(2)
    drawing.uniform(3)
    drawing.permutations(np.array([4, 4, 4, 4]), 2)
    draw_masks(drawing)
    for _ in range(4):
        skipping.skip_draw()
    assert (drawing.state()["draws"] == 4).all()
    assert (draw_masks(drawing)[0] == draw_masks(skipping)[0]).all()


@pytest.mark.parametrize("before", [0, 5, DRAWS_PER_KEY_BLOCK])
def test_draw_counts_survive_selecting_and_restoring(before):
    whole, selected, resumed = Replicas(SEEDS), Replicas(SEEDS), Replicas(SEEDS)
    for replicas in (whole, selected):
        draw_masks(replicas, draws=before)
    resumed.restore(whole.state())
    selected.select_replicas(np.array([3, 1]))
    assert selected.count == 2
    expected = draw_masks(whole, draws=DRAWS_PER_KEY_BLOCK + 1, shape=(4, 3))
    assert (np.stack(draw_masks(resumed, draws=DRAWS_PER_KEY_BLOCK + 1, shape=(4, 3))) == np.stack(expected)).all()
    survivors = draw_masks(selected, draws=DRAWS_PER_KEY_BLOCK + 1, shape=(2, 3))
    assert (np.stack(survivors) == np.stack(expected)[:, [3, 1]]).all()


def test_a_state_is_a_copy():
    replicas = Replicas(SEEDS)
    state = replicas.state()
    draw_masks(replicas)
    assert (state["draws"] == 0).all()
    resumed = Replicas(SEEDS)
    resumed.restore(state)
    draw_masks(resumed)
    assert (state["draws"] == 0).all()


def test_normal_and_uniform_have_their_moments():
    replicas = Replicas([1, 2], dtype=np.float64)
    normal, uniform = replicas.normal(200, 200, scale=[1.0, 3.0]), replicas.uniform(200, 200, scale=[2.0, 0.5])
    assert normal.mean(axis=(1, 2)) == pytest.approx([0.0, 0.0], abs=0.05)
    assert normal.std(axis=(1, 2)) == pytest.approx([1.0, 3.0], rel=0.02)
    assert np.abs(uniform).max(axis=(1, 2)) == pytest.approx([2.0, 0.5], rel=0.001)
    assert uniform.mean(axis=(1, 2)) == pytest.approx([0.0, 0.0], abs=0.02)
    assert abs(correlation(normal[0], normal[1])) < 0.02


def test_replicas_of_one_seed_and_count_share_a_permutation():
    rows = Replicas([5, 5, 6, 5]).permutations(np.array([10, 10, 10, 8]), 8)
    assert rows.shape == (4, 8)
    assert (rows[0] == rows[1]).all()
    assert not (rows[0] == rows[2]).all()
    assert sorted(rows[3]) == list(range(8))
    for row in rows[:3]:
        assert len(set(row)) == 8
        assert set(row) <= set(range(10))


def test_random_numbers_are_the_same_in_every_version():
    """Checkpoints and repeated runs rely on exactly these numbers: changing them changes every result."""
    replicas = Replicas([42], dtype=np.float64)
    assert replicas.normal(3)[0] == pytest.approx(EXPECTED_NORMAL)
    assert replicas.permutations(np.array([6]), 6)[0].tolist() == EXPECTED_ORDER
    assert draw_masks(replicas, shape=(1, 12))[0][0].astype(int).tolist() == EXPECTED_MASK
    assert fold_seeds(0, 2) == EXPECTED_SEEDS


def test_fold_seeds_are_shared_by_trials_and_differ_between_folds():
    assert fold_seeds(1, 5) == fold_seeds(1, 5)
    assert fold_seeds(1, 3) == fold_seeds(1, 5)[:3]
    assert len({*fold_seeds(0, 50), *fold_seeds(1, 50)}) == 100


def test_vector_takes_one_value_or_one_per_replica():
    replicas = Replicas(SEEDS)
    assert replicas.vector(0.5).tolist() == [0.5] * 4
    assert replicas.vector([0.5]).tolist() == [0.5] * 4
    assert replicas.vector((1, 2, 3, 4)).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert replicas.vector(2).dtype == np.float32
    own = np.ones(4, dtype=np.float32)
    assert not np.shares_memory(replicas.vector(own), own)
    for wrong in ([1.0, 2.0], np.ones((4, 1)), []):
        with pytest.raises(ValueError, match="expected one value or 4, one per replica"):
            replicas.vector(wrong)


def test_align_adds_an_axis_for_each_but_the_first():
    vector = np.array([1.0, 2.0])
    assert align(vector, np.zeros((2, 3, 4))).shape == (2, 1, 1)
    assert align(vector, np.zeros(2)).shape == (2,)


class Part(HasReplicaAxis):
    def __init__(self, *parts):
        self.own, self.shared, self.number = np.arange(3.0), np.ones((1, 2)), 7
        self.parts = list(parts)


def test_select_replicas_selects_rows_of_each_reachable_object_once():
    inner = Part()
    outer = Part(inner, inner, (Part(),))
    outer.again = inner
    outer.select_replicas(np.array([2, 0]))
    for part in (outer, inner, outer.parts[2][0]):
        assert part.own.tolist() == [2.0, 0.0]  # a second selection would move the rows again
        assert part.shared.shape == (1, 2)
        assert part.number == 7
