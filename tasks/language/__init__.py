"""Word-level language modelling: which word comes next in a text."""
