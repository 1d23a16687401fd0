"""Three ways in which a plugin can be broken."""
