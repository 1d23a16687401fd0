"""Masks that are known before training."""
