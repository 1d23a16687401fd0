"""The command line: what the commands are, how they are read, and a module that executes each."""
