"""Many runs side by side: carried out, tested against one another, and summed up in a table."""
