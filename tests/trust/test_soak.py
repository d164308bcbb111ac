"""Figure F5 in a size for tests: two days of chip time; growth and descriptors that stay open are noticed."""

from __future__ import annotations

import numpy as np

from trust.trusting import module

soak = module("soak")
Effort = module("effort").Effort


def test_two_days_leave_nothing_behind() -> None:
    with soak.household(3) as home:
        for _ in range(48):
            home.round()
        rows = home.rows("2 days", Effort(False, 3), by_wall=False)
    assert [row for row in rows if row.ok is False] == []
    assert abs(rows[0].value - 2.0) < 0.01


def test_growth_and_open_descriptors_are_noticed() -> None:
    leaky, sound = soak.Watched("leaky", 0), soak.Watched("sound", 0)
    noise = np.random.default_rng(1).normal(0, 0.2, 400)
    for k in range(400):
        for one, slope in ((leaky, 2.0), (sound, 0.2)):
            one.at.append(60.0 * k)
            one.megabytes.append(100 + slope * k / 60 + noise[k])
            one.descriptors.append(20 + (k // 10 if one is leaky else k % 3))
    assert leaky.per_hour() > soak.SLOPE_MB > sound.per_hour()
    assert leaky.grown() > soak.SLOPE_MB > sound.grown()
    assert leaky.descriptors_left() > soak.DESCRIPTORS > sound.descriptors_left()
