"""What a plugin tests: every clause of its manifold, one pytest item each."""

import pytest
from moduli_ellipse import Ellipse

from moduli.manifolds.testing import manifold_checks


@manifold_checks(Ellipse())
def test_ellipse(check):
    check()


def test_a_circle_has_its_circumference():
    assert Ellipse(1.0, 1.0).circumference == pytest.approx(6.283185307179586)
