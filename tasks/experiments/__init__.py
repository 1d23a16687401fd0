"""Experiments: every method on every task, under one protocol.

``configuration`` says what is asked for, ``methods`` how networks get sparse, ``runs`` who a run is and what
is on disk of it, ``training`` how one network is trained, ``comparisons`` how many are carried out, tested
and summed up. Each builds on those before it; `moduli.tasks.experiments.protocol` leads a run through.
"""
