"""One method with one seed: who it is, and what is on disk of it."""
