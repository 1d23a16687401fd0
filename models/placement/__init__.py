"""Where neurons are, and what their weights are charged for it."""
