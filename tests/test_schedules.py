"""Schedules rise from nothing to the whole target, and refuse to end before they begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moduli.models import CubicSchedule, InvalidSchedule, LinearSchedule, OneShotSchedule


@given(st.sampled_from([LinearSchedule, CubicSchedule]), st.integers(0, 100), st.integers(1, 100))
def test_schedules_rise_from_begin_to_end(kind, begin, length):
    schedule = kind(begin, begin + length)
    values = [schedule(step) for step in range(begin + length + 3)]
    assert values == sorted(values)
    assert values[: begin + 1] == [0.0] * (begin + 1)
    assert values[begin + length :] == [1.0] * 3
    assert all(value < 1 for value in values[: begin + length])


def test_errors():
    for kind in (LinearSchedule, CubicSchedule):
        with pytest.raises(InvalidSchedule, match="end after it begins"):
            kind(begin=5, end=5)
    with pytest.raises(InvalidSchedule, match="at least 0"):
        OneShotSchedule(-1)
