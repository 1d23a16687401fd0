"""Is it a regularizer? Its clauses, and the search for neurons that break one."""
