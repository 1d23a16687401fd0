"""Reports: one self-contained HTML page about finished experiments."""

from moduli.tasks.report.page import write_report

__all__ = ["write_report"]
