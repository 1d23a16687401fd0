"""Path integration: from velocities to place-cell activity."""
