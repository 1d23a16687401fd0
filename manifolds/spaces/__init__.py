"""The spaces that come with the library, one kind a module."""
