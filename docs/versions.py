"""List the versions of the site that lie side by side in a folder, each in a folder named by it.

    python docs/versions.py build/site

The list is the page to which the sidebar's "other versions" leads, in whatever version a reader is.
"""

import sys
from pathlib import Path

from packaging.version import Version

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>moduli</title>
<body style="font-family: sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em">
<h1>moduli</h1>
<p>The documentation, by version:</p>
<ul>
{entries}
</ul>
</body>
</html>
"""


def list_versions(folder: Path) -> None:
    """Write a folder's ``index.html``: its versions, the newest first."""
    versions = sorted((Version(site.parent.name) for site in folder.glob("*/objects.inv")), reverse=True)
    entries = [f'<li><a href="{version}/index.html">{version}</a></li>' for version in versions]
    (folder / "index.html").write_text(PAGE.format(entries="\n".join(entries)))


if __name__ == "__main__":
    list_versions(Path(sys.argv[1]))
