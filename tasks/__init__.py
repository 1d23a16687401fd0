"""Tasks: what a sparse network is measured on, under one protocol."""
