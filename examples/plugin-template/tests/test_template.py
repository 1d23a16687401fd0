"""What a plugin tests: every clause of each thing that it brings, one pytest item each."""

from moduli_template.inhibitor import Saturating
from moduli_template.manifold import Taxicab
from moduli_template.masks import banded_mask
from moduli_template.schedule import Staircase

from moduli.manifolds import Torus, make
from moduli.manifolds.testing import manifold_checks
from moduli.models import Sparsifier, mask_families
from moduli.models.testing import mask_checks, schedule_checks, sparsifier_checks
from moduli.regularizers import make_regularizer
from moduli.regularizers.testing import regularizer_checks


@manifold_checks(Taxicab())
def test_manifold(check):
    check()


@regularizer_checks(Saturating(), Torus())
def test_inhibitor(check):
    check()


@regularizer_checks(Saturating(length=3.0), Taxicab())
def test_inhibitor_on_our_manifold(check):
    check()


@mask_checks(banded_mask)
def test_masks(check):
    check()


@schedule_checks(Staircase(begin=10, end=200))
def test_schedule(check):
    check()


@sparsifier_checks(
    lambda model: Sparsifier(model, Saturating(), Taxicab(), sparsity=0.8, schedule=Staircase(0, 100)),
    cases=4,
)
def test_together(check):
    check()


def test_names_are_known_once_the_package_is_installed():
    assert make("taxicab", size=2.0) == Taxicab(2.0)
    assert make_regularizer("saturating(length=3.0)") == Saturating(3.0)
    assert "banded" in mask_families()
