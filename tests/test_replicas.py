"""The replica axis: what each replica draws depends on its seed, the draw and the position, and on nothing else."""

import numpy as np
import pytest

from searchlab.replicas import KEYS_AHEAD, Fused, Replicas, align, fold_seeds

SEEDS = [3, 14, 15, 2**64 - 1]
SHAPE = (4, 50, 41)  # an odd number of positions

GOLDEN_NORMAL = [0.3375714466967798, -0.7821534784435413, -0.3160252007782352]
GOLDEN_ORDER = [3, 4, 5, 1, 0, 2]
GOLDEN_MASK = [0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0]
GOLDEN_SEEDS = [15793235383387715774, 5836529245451711556]


def masks(replicas, draws=1, shape=SHAPE, rate=0.5):
    rates = np.full(replicas.count, rate, dtype=np.float32)
    return [replicas.dropped(rates, (replicas.count, *shape[1:])) for _ in range(draws)]


def correlation(a, b):
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    return float((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 0.5, 0.65, 0.999])
def test_dropout_keeps_its_rate(rate):
    replicas = Replicas(range(4))
    mask = np.stack(masks(replicas, draws=20, rate=rate))  # (20, R, ...)
    share = mask.mean(axis=(0, 2, 3))  # (R,)
    deviation = np.sqrt(rate * (1.0 - rate) / (mask.size / 4))
    assert (np.abs(share - rate) <= 4.0 * deviation + 1.0 / 65_536.0).all()


def test_rates_differ_between_replicas():
    rates = np.array([0.0, 0.25, 0.5, 0.9], dtype=np.float32)
    share = Replicas(SEEDS).dropped(rates, (4, 200, 200)).mean(axis=(1, 2))
    assert share[0] == 0.0
    assert share == pytest.approx(rates, abs=0.01)


def test_masks_of_other_seeds_draws_and_positions_are_unrelated():
    replicas = Replicas(range(8))  # neighbouring seeds: the hardest case for a hash
    mask = np.stack(masks(replicas, draws=6, shape=(8, 100, 100))).astype(np.float64)  # (draws, R, ...)
    bound = 5.0 / np.sqrt(mask[0, 0].size)
    for seed in range(1, 8):
        assert abs(correlation(mask[0, 0], mask[0, seed])) < bound
    for draw in range(1, 6):
        assert abs(correlation(mask[0, 0], mask[draw, 0])) < bound
    for one, other in ((0, 1), (1, 0), (2, 3)):  # seed and draw must not be interchangeable
        assert abs(correlation(mask[one, other], mask[other, one])) < bound
    for shift in (1, 2, 3, 7, 64, 100, 256):
        flat = mask[0, 0].ravel()
        assert abs(correlation(flat[shift:], flat[:-shift])) < bound


def test_every_position_is_dropped_as_often():
    """Over many draws no position is favoured, nor either half of a hashed word."""
    count = np.sum(masks(Replicas([1]), draws=2000, shape=(1, 10, 11)), axis=0)[0]
    assert np.abs(count - 1000.0).max() < 5.0 * np.sqrt(500.0)


@pytest.mark.parametrize("rows", [[0], [3], [2, 0], [1, 1], [3, 2, 1, 0]])
def test_draws_do_not_depend_on_the_neighbours(rows):
    whole, part = Replicas(SEEDS), Replicas([SEEDS[r] for r in rows])
    counts = np.array([9, 12, 9, 30])
    for _ in range(3):
        assert (masks(part)[0] == masks(whole)[0][rows]).all()
        assert (part.normal(3, 2) == whole.normal(3, 2)[rows]).all()
        assert (part.uniform(5) == whole.uniform(5)[rows]).all()
        assert (part.permutations(counts[rows], 9) == whole.permutations(counts, 9)[rows]).all()


@pytest.mark.parametrize("before", [0, 1, KEYS_AHEAD - 1, KEYS_AHEAD, KEYS_AHEAD + 1, 2 * KEYS_AHEAD])
def test_draws_after_any_number_of_draws(before):
    """Keys are hashed in blocks: drawing, skipping and a fresh start from a count must agree on both sides of one."""
    drawn, skipped, told = Replicas(SEEDS), Replicas(SEEDS), Replicas(SEEDS)
    masks(drawn, draws=before, shape=(4, 2))
    for _ in range(before):
        skipped.skip_draw()
    told.restore({"draws": np.full(4, before)})
    expected = masks(told, draws=3)
    for replicas in (drawn, skipped):
        assert (np.stack(masks(replicas, draws=3)) == np.stack(expected)).all()
        assert (replicas.state()["draws"] == before + 3).all()


def test_all_kinds_of_draws_count_alike():
    one, other = Replicas(SEEDS), Replicas(SEEDS)
    one.normal(2)
    one.uniform(3)
    one.permutations(np.array([4, 4, 4, 4]), 2)
    masks(one)
    for _ in range(4):
        other.skip_draw()
    assert (one.state()["draws"] == 4).all()
    assert (masks(one)[0] == masks(other)[0]).all()


@pytest.mark.parametrize("before", [0, 5, KEYS_AHEAD])
def test_counters_survive_keep_and_restore(before):
    whole, kept, resumed = Replicas(SEEDS), Replicas(SEEDS), Replicas(SEEDS)
    for replicas in (whole, kept):
        masks(replicas, draws=before)
    resumed.restore(whole.state())
    kept.keep(np.array([3, 1]))
    assert kept.count == 2
    expected = masks(whole, draws=KEYS_AHEAD + 1, shape=(4, 3))
    assert (np.stack(masks(resumed, draws=KEYS_AHEAD + 1, shape=(4, 3))) == np.stack(expected)).all()
    left = masks(kept, draws=KEYS_AHEAD + 1, shape=(2, 3))
    assert (np.stack(left) == np.stack(expected)[:, [3, 1]]).all()


def test_a_state_is_a_copy():
    replicas = Replicas(SEEDS)
    state = replicas.state()
    masks(replicas)
    assert (state["draws"] == 0).all()
    resumed = Replicas(SEEDS)
    resumed.restore(state)
    masks(resumed)
    assert (state["draws"] == 0).all()


def test_normal_and_uniform_have_their_moments():
    replicas = Replicas([1, 2], dtype=np.float64)
    normal, uniform = replicas.normal(200, 200, scale=[1.0, 3.0]), replicas.uniform(200, 200, scale=[2.0, 0.5])
    assert normal.mean(axis=(1, 2)) == pytest.approx([0.0, 0.0], abs=0.05)
    assert normal.std(axis=(1, 2)) == pytest.approx([1.0, 3.0], rel=0.02)
    assert np.abs(uniform).max(axis=(1, 2)) == pytest.approx([2.0, 0.5], rel=0.001)
    assert uniform.mean(axis=(1, 2)) == pytest.approx([0.0, 0.0], abs=0.02)
    assert abs(correlation(normal[0], normal[1])) < 0.02


def test_permutations_shuffle_each_fold():
    rows = Replicas([5, 5, 6, 5]).permutations(np.array([10, 10, 10, 8]), 8)
    assert rows.shape == (4, 8)
    assert (rows[0] == rows[1]).all()
    assert not (rows[0] == rows[2]).all()
    assert sorted(rows[3]) == list(range(8))
    for row in rows[:3]:
        assert len(set(row)) == 8
        assert set(row) <= set(range(10))


def test_what_is_drawn_today_is_drawn_tomorrow():
    """Checkpoints and repeated runs rely on these very numbers: a change here is a change of every result."""
    replicas = Replicas([42], dtype=np.float64)
    assert replicas.normal(3)[0] == pytest.approx(GOLDEN_NORMAL)
    assert replicas.permutations(np.array([6]), 6)[0].tolist() == GOLDEN_ORDER
    assert masks(replicas, shape=(1, 12))[0][0].astype(int).tolist() == GOLDEN_MASK
    assert fold_seeds(0, 2) == GOLDEN_SEEDS


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


def test_align_meets_an_array_replica_by_replica():
    vector = np.array([1.0, 2.0])
    assert align(vector, np.zeros((2, 3, 4))).shape == (2, 1, 1)
    assert align(vector, np.zeros(2)).shape == (2,)


class Part(Fused):
    def __init__(self, *held):
        self.own, self.shared, self.number = np.arange(3.0), np.ones((1, 2)), 7
        self.held = list(held)


def test_keep_selects_rows_of_everything_it_reaches_once():
    inner = Part()
    outer = Part(inner, inner, (Part(),))
    outer.outside = inner
    outer.keep(np.array([2, 0]))
    for part in (outer, inner, outer.held[2][0]):
        assert part.own.tolist() == [2.0, 0.0]  # once: a second selection would give row 0 of these
        assert part.shared.shape == (1, 2)
        assert part.number == 7
