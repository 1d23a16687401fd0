"""Experiments: every method on every task, under one protocol."""
