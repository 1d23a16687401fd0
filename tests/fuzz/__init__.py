"""Mutations of everything that comes from outside: each is harmless, or named in one typed sentence."""
