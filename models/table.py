"""Small tables that a console and a notebook both show well."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """Rows of text below a title.

    Parameters
    ----------
    title : str
        What the table is of.
    header : tuple of str
        Names of the columns.
    rows : tuple of tuple of str
        The cells.

    Examples
    --------
    >>> print(Table("Masks", ("matrix", "zeros"), (("weight_hh_l0", "90.0%"), ("total", "90.0%"))))
    Masks
      matrix        zeros
      weight_hh_l0  90.0%
      total         90.0%
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = (self.header, *self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [self.title]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            text.append(f"  {'  '.join(cells)}".rstrip())
        return "\n".join(text)

    def html(self) -> str:
        """Return the table as HTML, whatever its cells hold."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.header)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        return (
            f"<table><caption>{escape(self.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


class Tabular(ABC):
    """What is shown as a table, as text and in notebooks."""

    @abstractmethod
    def table(self) -> Table:
        """Return what is shown."""

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        """Return what notebooks show."""
        return self.table().html()
