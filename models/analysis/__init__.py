"""What the network that pruning left is like: its graph and its topology."""
