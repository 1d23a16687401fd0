"""The parts of ``benchmarks/accelerator.py``: what must hold on a device, and what takes how long there."""
