"""The suite itself: what keeps it fast."""

import pytest


@pytest.mark.xdist_group("suite")
def test_groups_reach_the_scheduler_that_keeps_them_together(request):
    grouped = getattr(request.config.option, "loadgroup", False)  # only in a worker that keeps groups
    assert request.node.nodeid.endswith("@suite") == grouped
