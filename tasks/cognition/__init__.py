"""The cognitive tasks of systems neuroscience: see, remember, decide, and answer when it is time."""
