"""How one network is trained: the loop, its devices, its checkpoints and its curves."""
