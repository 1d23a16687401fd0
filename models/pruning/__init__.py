"""Which weights live, which die next, and which return."""
