"""Makes the page of the package on PyPI from README.md: a link to a file of the clone is its text.

PyPI shows the page away from the files that it links to, so such a link would lead nowhere.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PackagePage(MetadataHookInterface):
    """Hatchling finds it by its base class."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put the page into the package's metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = re.sub(r"\[([^]]+)\]\((?!https://)[^)]+\)", r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
