"""A template for plugins of moduli."""
