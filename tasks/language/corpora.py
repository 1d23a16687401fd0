"""Corpora: texts in three parts, by name or from a folder."""

import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from moduli.errors import suggestion
from moduli.requirements import require_package
from moduli.tasks.errors import UnusableCorpus

WIKITEXT = {"wikitext-2": "wikitext-2-v1", "wikitext-103": "wikitext-103-v1"}
"""Names of configurations of Hugging Face's ``Salesforce/wikitext``: Merity et al., arXiv 1609.07843."""


@dataclass(frozen=True)
class Corpus:
    """A text in three parts, each a tuple of lines whose words are separated by white space.

    Parameters
    ----------
    train : tuple of str
        What is learned from.
    validation : tuple of str
        What training is watched by.
    test : tuple of str
        What a trained model is scored on.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def digest(self) -> str:
        """Return eight hexadecimal digits that tell corpora apart."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for line in part:
                digest.update(" ".join(line.split()).encode() + b"\n")
            digest.update(b"\0")
        return digest.hexdigest()[:8]


def load_corpus(name: str) -> Corpus:
    """Return the corpus of a name.

    Parameters
    ----------
    name : str
        ``"python-topics"``, which needs no download; ``"wikitext-2"`` or ``"wikitext-103"``, which
        Hugging Face's ``datasets`` downloads and keeps; or the path of a folder with the files
        ``train.txt``, ``valid.txt`` and ``test.txt`` in UTF-8.

    Returns
    -------
    Corpus

    Raises
    ------
    UnusableCorpus
        If nothing has that name, a file is missing or not in UTF-8, the download fails, or a part is empty.
    MissingDependency
        If ``datasets`` is needed and not installed.
    """
    if name == "python-topics":
        corpus = python_topics()
    elif name in WIKITEXT:
        corpus = _wikitext(name)
    elif Path(name).is_dir():
        corpus = _folder(Path(name))
    else:
        raise UnusableCorpus(
            f"'{name}' is neither a corpus nor a folder; {suggestion(name, {'python-topics', *WIKITEXT})}"
        )
    for part, lines in vars(corpus).items():
        if not any(line.split() for line in lines):
            raise UnusableCorpus(f"The {part} part of the corpus '{name}' holds no words; put some into it.")
    return corpus


def python_topics() -> Corpus:
    """Return the Python language reference as it ships with Python, for ``help()``, in ``pydoc_data``.

    A line is a paragraph; words and signs of punctuation stand by themselves. Topics quote one another
    at length, so that a paragraph counts for the first topic of the alphabet that has it: nothing in one
    part is repeated in another. A checksum of its name decides which part a topic belongs to, about a
    tenth of them to the validation and another to the test. Python's versions differ in the text.

    Returns
    -------
    Corpus

    Raises
    ------
    UnusableCorpus
        If Python was installed without it.
    """
    try:
        from pydoc_data.topics import topics
    except ModuleNotFoundError as error:
        raise UnusableCorpus(
            "This Python was installed without its language reference, pydoc_data.topics; "
            "choose another corpus."
        ) from error
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    seen = {""}
    for topic in sorted(topics):
        part = parts[{0: 2, 1: 1}.get(zlib.crc32(topic.encode()) % 10, 0)]
        for paragraph in re.split(r"\n\s*\n", topics[topic]):
            line = " ".join(re.findall(r"\w+|[^\w\s]", paragraph))
            if line not in seen:
                seen.add(line)
                part.append(line)
    train, validation, test = map(tuple, parts)
    return Corpus(train, validation, test)


def _wikitext(name: str) -> Corpus:
    datasets = require_package("datasets", "The WikiText corpora", "corpora")
    try:
        parts = datasets.load_dataset("Salesforce/wikitext", WIKITEXT[name])
    except OSError as error:
        raise UnusableCorpus(
            f"The corpus '{name}' could not be downloaded ({error}); connect to the Internet, or pass a "
            "folder with train.txt, valid.txt and test.txt."
        ) from error
    return Corpus(*(tuple(parts[part]["text"]) for part in ("train", "validation", "test")))


def _folder(folder: Path) -> Corpus:
    return Corpus(*(_lines(folder / f"{part}.txt") for part in ("train", "valid", "test")))


def _lines(path: Path) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8") as file:
            return tuple(file)
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableCorpus(
            f"{path} cannot be read ({error}); a folder used as corpus holds train.txt, valid.txt and "
            "test.txt, in UTF-8."
        ) from error
