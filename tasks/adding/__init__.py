"""The adding problem: remember two marked numbers of a long sequence, and tell their sum."""
