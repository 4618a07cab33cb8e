"""The benchmark of the best possible timing finds the law by which a market was generated."""

import numpy as np
import pytest

from benchmarks.timing_limit import SHARES, STEP_S, law_of, survival_of
from models.markets import Market
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import HOUR_S, Pool

BEAT_S = 450
LEAST, MOST = 36, 56
START_S = 1_700_000_000
PAIRED = {number: (number * 7 + 3) % (MOST - LEAST + 1) for number in range(MOST - LEAST + 1)}


def market(*, is_drawn: bool) -> Market:
    """Sixty pools that change at every update; the next gap is random, or follows from the last."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(60):
        pool, at_s, gap = Pool(f"f{number}.large", "us-east-1a"), START_S, number % len(PAIRED)
        for change in range(120):
            rows.append((pool, at_s, 0.1 + 0.001 * (change % 2)))
            gap = int(rng.integers(len(PAIRED))) if is_drawn else PAIRED[gap]
            at_s += (LEAST + gap) * BEAT_S
    changes = PriceChanges().merge(rows, {})[0]
    return Market("us-east-1", changes, {}, START_S, int(changes.time_s.max()))


def test_beat_and_span_of_gaps_are_those_of_the_market() -> None:
    """A beat of 450 s and gaps of 36 to 56 beats; a price is never younger than the least gap."""
    law = law_of(market(is_drawn=True), until_s=2 * START_S)
    assert law.beat_s == pytest.approx(BEAT_S, abs=0.5)
    assert law.least_most() == (LEAST, MOST)
    survival = survival_of(law)
    always = survival[len(SHARES) - 1]
    assert always[LEAST * BEAT_S // STEP_S - 2] == pytest.approx(1)
    assert always[8 * HOUR_S // STEP_S] == pytest.approx(0, abs=1e-9)
    assert (survival[0] == 1).all()


def test_random_gaps_predict_nothing_and_regular_ones_everything() -> None:
    """The information is near that of unrelated gaps, or the whole entropy if one follows from the
    other."""
    information, chance, _ = law_of(market(is_drawn=True), 2 * START_S).information()
    assert information == pytest.approx(chance, rel=0.2)
    information, _, entropy = law_of(market(is_drawn=False), 2 * START_S).information()
    assert information == pytest.approx(entropy, rel=0.05)


def test_law_uses_only_past_gaps() -> None:
    """Only gaps that ended before the day count."""
    law = law_of(market(is_drawn=True), START_S + 10 * 24 * HOUR_S)
    assert 0 < len(law.beats) <= 60 * 10 * 24 * HOUR_S // (LEAST * BEAT_S)
