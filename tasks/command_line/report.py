"""`moduli report`."""

from collections.abc import Sequence

from moduli.tasks.command_line.commands import ReportCommand
from moduli.tasks.report import write_report


def execute(command: ReportCommand, arguments: Sequence[str]) -> bool:
    """Write the page, and print where it is."""
    print(write_report(command.folders, command.output))
    return True
