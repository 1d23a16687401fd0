"""Figures: one function each, drawn on the axes that they are given."""
