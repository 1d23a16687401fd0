"""Clause M10: `verify` judges what users call; no good space is refused, and no broken one passes."""

import pytest

from moduli.manifolds import MetricAxiomError, check_manifold
from moduli.manifolds.testing import CLAUSES, Search, run_check
from tests.metric_spaces import BROKEN, GOOD


@pytest.mark.parametrize("space", GOOD)
def test_no_good_space_is_refused(space):
    report = check_manifold(GOOD[space])
    assert report.passed, str(report)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_space_is_caught_by_its_clause(fault):
    clause, manifold = BROKEN[fault]
    with pytest.raises(MetricAxiomError, match=f"breaks clause {CLAUSES[clause].number}, {clause}"):
        run_check(CLAUSES[clause], Search(manifold))
