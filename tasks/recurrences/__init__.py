"""Recurrences without a recurrent matrix: a unit remembers itself alone, and units mix between layers."""
