"""Files that are replaced whole: a run that is killed, or a disk that is full, leaves the earlier one as it was."""

import json
import os
import threading
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file with ``content`` (text as UTF-8), or leave it as it was; nothing is left beside it.

    The new file has the mode that any new file of this user has.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        scratch.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: object) -> None:
    """Replace a JSON file whole; ``ValueError`` for a number that JSON cannot hold (nan, inf)."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_whole(path, text + "\n")
