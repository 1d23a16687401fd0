"""Clauses M8 and M11: spaces given by distances or by a triangulated surface; what is not one is refused."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.errors import MissingDependency
from moduli.manifolds import (
    FiniteMetric,
    InvalidParameter,
    InvalidPoints,
    NotDifferentiable,
    Sphere,
    from_distances,
    from_graph,
    from_mesh,
    make,
    verify,
)
from moduli.manifolds.spaces import distances, meshes
from tests.conftest import seeded


def euclidean(n, seed=0):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return np.sqrt(np.square(points[:, None] - points[None]).sum(-1))


def changed(i, j, value, symmetric=True):
    matrix = euclidean(6)
    matrix[i, j] = value
    if symmetric:
        matrix[j, i] = value
    return matrix


@pytest.mark.parametrize(
    "kind", [np.asarray, torch.as_tensor, lambda m: m.tolist(), lambda m: torch.tensor(m).float()]
)
def test_distances_are_those_given(kind):
    matrix = euclidean(20)
    space = from_distances(kind(matrix))
    points = torch.arange(20.0, dtype=torch.float64)[:, None]
    assert np.allclose(space.pairwise(points), matrix, rtol=1e-6)
    assert torch.equal(space.pairwise(points), space.pairwise(points).T)
    assert space.pairwise(points.float()).dtype == torch.float32
    verify(space)


NAMES = ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (changed(1, 2, np.nan), r"d\('b', 'c'\) = nan, which is not a number"),
        (changed(1, 2, np.inf), r"d\('b', 'c'\) = inf; a distance must be finite"),
        (changed(1, 2, -np.inf), r"d\('b', 'c'\) = -inf; a distance cannot be negative"),
        (changed(1, 2, -1.0), r"d\('b', 'c'\) = -1; a distance cannot be negative"),
        (changed(1, 2, 0.0), r"d\('b', 'c'\) = 0, though the two are different points"),
        (changed(3, 3, 5e-3), r"d\('d', 'd'\) = 0.005; a point's distance from itself must be zero"),
        (changed(4, 5, 7.0, symmetric=False), r"d\('e', 'f'\) = 7 differs from d\('f', 'e'\) = "),
        (changed(4, 5, 70.0), r"d\('[ef]', '[ef]'\) = 70 is longer than d\("),
        (euclidean(5), "expected 5 labels, one for each point, got 6"),
        (euclidean(6)[:5], r"must have shape \(n, n\), got \(5, 6\)"),
        ([[0.0, 1.0], [1.0]], "not rectangular"),
        (np.zeros((0, 0)), r"got \(0, 0\)"),
        (euclidean(6) * 1j, "must be real numbers, got complex128"),
        (euclidean(6).astype(str), "must be real numbers, got <U"),
    ],
)  # fmt: skip
def test_what_is_not_a_metric_is_refused_by_name(matrix, message):
    with pytest.raises(InvalidParameter, match=message):
        from_distances(matrix, labels=NAMES)


@given(st.integers(3, 12), st.integers(0, 2**31), st.data())
def test_one_broken_triangle_anywhere_is_found(n, seed, data):
    matrix = euclidean(n, seed)
    i, j = data.draw(st.lists(st.integers(0, n - 1), min_size=2, max_size=2, unique=True))
    detour = min(matrix[i, k] + matrix[k, j] for k in range(n) if k not in (i, j))
    matrix[i, j] = matrix[j, i] = detour * (1 + 1e-8)
    from_distances(matrix)
    matrix[i, j] = matrix[j, i] = detour * (1 + 1e-5)
    with pytest.raises(InvalidParameter, match="is longer than"):
        from_distances(matrix)
    assert from_distances(matrix, repair="shortest-path").table[i, j] == pytest.approx(detour)


def test_many_points_are_checked_in_part(monkeypatch):
    monkeypatch.setattr(distances, "ALL_TRIPLES", 32)
    matrix = euclidean(64)
    from_distances(matrix)
    matrix = np.where(matrix > 1, matrix**3, matrix)
    with pytest.raises(InvalidParameter, match="is longer than"):
        from_distances(matrix)


def test_rounding_is_no_fault():
    noise = 1 + 2e-7 * np.random.default_rng(0).uniform(-1, 1, size=(30, 30))
    matrix = euclidean(30) * noise + 1e-12 * np.eye(30)
    line = np.abs(np.subtract.outer(np.arange(30.0), np.arange(30.0)))  # every triangle is an equality
    for given_ in (
        matrix,
        line * noise,
        line / 3,
        torch.tensor(line / 3).half(),
        torch.tensor(line / 3).bfloat16(),
    ):
        table = from_distances(given_).table
        assert torch.equal(table, table.T)
        assert not table.diagonal().any()


def test_the_repair_is_the_largest_metric_below():
    matrix = np.array([[0, 1, 9, np.inf], [1, 0, 2, np.inf], [9, 2, 0, 5], [np.inf, np.inf, 5, 0]])
    assert from_distances(matrix, repair="shortest-path").table.tolist() == [
        [0, 1, 3, 8],
        [1, 0, 2, 7],
        [3, 2, 0, 5],
        [8, 7, 5, 0],
    ]
    assert np.allclose(from_distances(euclidean(9), repair="shortest-path").table, euclidean(9))
    matrix[2, 3] = matrix[3, 2] = np.inf
    with pytest.raises(InvalidParameter, match="no path leads from 'x' to 'w'"):
        from_distances(matrix, labels=["x", "y", "z", "w"], repair="shortest-path")
    with pytest.raises(InvalidParameter, match="did you mean 'shortest-path'"):
        from_distances(matrix, repair="shortest path")
    with pytest.raises(InvalidParameter, match="not a number"):
        from_distances(changed(0, 1, np.nan), repair="shortest-path")


def test_labels_are_distinct():
    with pytest.raises(InvalidParameter, match="points 0 and 2 have one label, 'a'"):
        from_distances(euclidean(3), labels=["a", "b", "a"])


def sheet(side=9, radius=0.5):
    """A unit square, rolled around an axis."""
    u = np.linspace(0, 1, side)
    along, across = (grid.ravel() for grid in np.meshgrid(u, u, indexing="ij"))
    vertices = np.stack([radius * np.cos(along / radius), radius * np.sin(along / radius), across], axis=-1)
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return vertices, faces, np.stack([along, across], axis=-1)


def ball(times):
    """A unit sphere: an octahedron whose faces are divided again and again."""
    vertices = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    faces = [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    for _ in range(times):
        middle: dict[tuple[int, int], int] = {}

        def between(i, j, middle=middle):
            if (min(i, j), max(i, j)) not in middle:
                point = np.add(vertices[i], vertices[j])
                vertices.append(list(point / np.linalg.norm(point)))
                middle[min(i, j), max(i, j)] = len(vertices) - 1
            return middle[min(i, j), max(i, j)]

        halves = [(a, b, c, between(a, b), between(b, c), between(c, a)) for a, b, c in faces]
        faces = [
            t for a, b, c, ab, bc, ca in halves for t in ([a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca])
        ]
    return np.array(vertices), np.array(faces)


def all_points(space):
    return torch.arange(space.count, dtype=torch.float64)[:, None]


def test_geodesics_of_a_rolled_sheet_are_those_of_the_flat_one():
    vertices, faces, flat = sheet(31)
    space = from_mesh(vertices, faces)
    points = space.random_point(40, seeded()).double()
    where = torch.from_numpy(flat)[points[:, 0].long()]
    expected = torch.cdist(where, where, compute_mode="donot_use_mm_for_euclid_dist")
    # The polygon inscribed in an arc is shorter by a relative (angle)² / 24 = 1.9e-4.
    assert torch.allclose(space.pairwise(points), expected, rtol=4e-4, atol=0)


def test_geodesics_of_a_cube_cross_its_edges():
    """From a corner to the opposite one the net of a unit cube is √5 long."""
    corners = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    squares = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]
    faces = [triangle for a, b, c, d in squares for triangle in ([a, b, c], [a, c, d])]
    space = from_mesh(corners, faces)
    assert space.distance(torch.tensor([0.0]), torch.tensor([7.0])) == pytest.approx(5**0.5)
    verify(space)


def test_geodesics_of_a_sphere_converge_to_arcs():
    errors = []
    for times in (2, 3):
        vertices, faces = ball(times)
        space = from_mesh(vertices, faces)
        points = space.random_point(30, seeded()).double()
        arcs = Sphere(2, radius=1.0).pairwise(torch.from_numpy(vertices)[points[:, 0].long()])
        errors.append(float((space.pairwise(points) - arcs).abs().max()))
    assert errors[0] < 0.1
    assert errors[1] < 0.3 * errors[0]  # second order: a quarter


def test_distances_are_computed_once_for_the_vertices_in_use():
    vertices, faces, _ = sheet(7)
    vertices = vertices + 0.25  # a surface that no other test has
    points = torch.tensor([[3.0], [20.0], [5.0]])
    space = from_mesh(vertices, faces)
    space.pairwise(points)
    known = meshes._geodesics(space.vertices, space.faces)
    assert known.rows.keys() <= {3, 5, 20}
    again = make(**json.loads(json.dumps(space.spec)))
    assert meshes._geodesics(again.vertices, again.faces) is known
    assert again == space


def two_sheets():
    vertices, faces, _ = sheet(3)
    return np.concatenate([vertices, vertices + 5]), np.concatenate([faces, faces + len(vertices)])


VERTICES, FACES, _ = sheet(3)


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (VERTICES, [[0, 1, 9]], r"face 0 is \[0, 1, 9\], but vertices are numbered 0 to 8"),
        (VERTICES, [[0, 1, -1]], r"face 0 is \[0, 1, -1\]"),
        (VERTICES, [*FACES.tolist(), [4, 4, 5]], r"face 8 is degenerate: its vertices \[4, 4, 5\]"),
        ([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], "face 0 is degenerate"),
        (VERTICES, FACES[:2], "of 9 vertices belong to no face, the first is"),
        (*two_sheets(), "has 2 pieces, and no path leads from vertex 0 to vertex 9"),
        (np.where(np.arange(9)[:, None] == 4, np.nan, VERTICES), FACES, r"vertex 4 is at \[nan, nan, nan\]"),
        (np.where(np.arange(9)[:, None] == 4, np.inf, VERTICES), FACES, r"vertex 4 is at \[inf"),
        (VERTICES[:, :2], FACES, r"vertices must have shape \(n, 3\), got \(9, 2\)"),
        (VERTICES, FACES[:, :2], r"faces must have shape \(n, 3\)"),
        (VERTICES, FACES * 1.0, "faces must be integers, got float64"),
        (VERTICES, [[0, 1, 2], [0, 1]], "faces are not rectangular"),
        (
            VERTICES,
            np.concatenate([FACES, FACES, FACES]),
            r"6 faces meet in the edge|3 faces meet in the edge",
        ),
    ],
)
def test_what_is_not_one_surface_is_refused_by_name(vertices, faces, message):
    with pytest.raises(InvalidParameter, match=message):
        from_mesh(vertices, faces)


def test_a_missing_package_is_named(monkeypatch):
    vertices, faces, _ = sheet(3)
    monkeypatch.setitem(__import__("sys").modules, "pygeodesic.geodesic", None)
    with pytest.raises(MissingDependency, match=r"Distances on a mesh need pygeodesic; .*moduli\[meshes\]"):
        from_mesh(vertices + 0.125, faces)


def test_threads_share_a_surface():
    vertices, faces, _ = sheet(9)
    expected = from_mesh(vertices, faces).pairwise(all_points(from_mesh(vertices, faces)))
    meshes._geodesics.cache_clear()
    space, results = from_mesh(vertices, faces), {}

    def work(number):
        results[number] = space.pairwise(all_points(space).flip(0) if number % 2 else all_points(space))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert torch.equal(results[number].flip(0, 1) if number % 2 else results[number], expected)


def path_graph():
    import networkx

    return from_graph(networkx.path_graph(81))


SPACES = {
    "distances": lambda: from_distances(euclidean(81), labels=range(81)),
    "mesh": lambda: from_mesh(*sheet()[:2]),
    "graph": path_graph,
}


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]()


def test_points_are_drawn_without_repetition_while_they_can(space):
    assert len(space.random_point(81, seeded()).unique()) == 81
    _, times = space.random_point(200, seeded()).unique(return_counts=True)
    assert set(times.tolist()) == {2, 3}
    assert space.random_point(0, seeded()).shape == (0, 1)
    assert torch.equal(space.random_point(7, seeded(3)), space.random_point(7, seeded(3)))


def test_copies_are_equal(space):
    for again in (
        copy.deepcopy(space),
        pickle.loads(pickle.dumps(space)),
        make(**json.loads(json.dumps(space.spec))),
    ):
        assert again == space
        assert hash(again) == hash(space)
        assert torch.equal(again.pairwise(all_points(again)), space.pairwise(all_points(space)))


def test_points_that_are_none_are_refused(space):
    with pytest.raises(NotDifferentiable, match="have no gradient"):
        space.pairwise(torch.zeros(2, 1, requires_grad=True))
    for bad in (81.0, -1.0, 0.5):
        with pytest.raises(InvalidPoints, match="point 0"):
            space.pairwise(torch.tensor([[bad]]))
    with pytest.raises(InvalidPoints, match=r"numbered from 0 to 80, got 81"):
        space.distance(torch.tensor([81.0]), torch.tensor([0.0]))


def test_half_precision_cannot_number_many_points():
    space = FiniteMetric(euclidean(600))
    with pytest.raises(InvalidPoints, match=r"bfloat16 cannot number the 600 points"):
        space.pairwise(torch.zeros(2, 1, dtype=torch.bfloat16))
    assert space.pairwise(torch.tensor([[0.0], [599.0]]).half()).dtype == torch.float16


def test_the_user_s_array_may_change_afterwards():
    matrix = euclidean(5)
    space, same = from_distances(matrix), from_distances(matrix.copy())
    matrix *= 2
    assert space == same
    assert space != from_distances(matrix)
    assert float(space.table[0, 1]) == pytest.approx(float(matrix[0, 1]) / 2)
