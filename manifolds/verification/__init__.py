"""Is it a metric space? The clauses of a manifold, and the search for points that break one."""
