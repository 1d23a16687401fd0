"""`moduli check`."""

import json
from collections.abc import Sequence

from moduli.tasks.checks import check_command
from moduli.tasks.command_line.commands import CheckCommand


def execute(command: CheckCommand, arguments: Sequence[str]) -> bool:
    """Print the verdicts, and return whether all clauses hold."""
    report = check_command(command.target, command.kwargs, command.cases, command.on)
    print(json.dumps(report.as_dict(), indent=2, default=str) if command.json else report)
    return report.passed
