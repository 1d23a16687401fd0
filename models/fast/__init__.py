"""Modules that multiply by surviving weights only, for inference and for training."""
