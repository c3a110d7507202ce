"""`Shelf`: a folder of recordings.

Owns reading it whole, the order in which recordings of the same request are played, and adding a file: whole
or not at all, and never in another's place. Knows no provider.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from attrs import evolve

from aigw.upstream.replay.matching import Difference, digest, nearest, shape
from aigw.upstream.replay.recording import Asked, Recording, from_json, to_json

_UNFIT: Final = re.compile(r"[^0-9A-Za-z._]+")
_NAME_CHARS: Final = 40


class Shelf:
    """The recordings in a folder, by what they answer. Raises ValueError on a file that is none."""

    def __init__(self, folder: Path, ignore: Iterable[str] = ()) -> None:
        self.folder = folder
        self._ignore = tuple(ignore)
        self._by_key: defaultdict[str, list[Recording]] = defaultdict(list)
        self._all: list[tuple[Recording, dict[str, Any]]] = []
        for path in sorted(folder.glob("*.json"), key=_place) if folder.is_dir() else ():
            self._keep(from_json(path.name, path.read_bytes()))

    @property
    def recordings(self) -> list[Recording]:
        """All there are."""
        return [recording for recording, _ in self._all]

    def key_of(self, asked: Asked) -> str:
        """Return what is the same for all requests that match the same recordings."""
        return digest(shape(asked, self._ignore))

    def find(self, key: str) -> Sequence[Recording]:
        """Return the recordings of one request, in the order in which they are played."""
        return self._by_key.get(key, ())

    def nearest(self, asked: Asked) -> tuple[Recording, Difference] | None:
        """Return the recording that is most like a request that none matches, and the first difference."""
        return nearest(shape(asked, self._ignore), self._all)

    def add(self, recording: Recording) -> Recording:
        """Write a recording, and return it with its name. Raises OSError when it cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        key = self.key_of(recording.asked)
        last = recording.asked.path.removeprefix("/v1/").removeprefix("/v1beta/")
        stem = f"{_slug(last)}.{_slug(recording.asked.model)}.{key}"
        written = evolve(recording, name=_write_new(self.folder, stem, to_json(recording)))
        self._keep(written)
        return written

    def _keep(self, recording: Recording) -> None:
        wanted = shape(recording.asked, self._ignore)
        self._by_key[digest(wanted)].append(recording)
        self._all.append((recording, wanted))


def _write_new(folder: Path, stem: str, content: bytes) -> str:
    """Write a file of the first number that is free, and return its name."""
    part = folder / f".{uuid4().hex}.part"
    try:
        with part.open("xb") as file:
            file.write(content)
        number = 1
        while True:
            name = f"{stem}.{number}.json"
            try:
                os.link(part, folder / name)  # unlike a rename, it fails where there is one already
            except FileExistsError:
                number += 1
            else:
                return name
    finally:
        part.unlink(missing_ok=True)


def _place(path: Path) -> tuple[str, int, str]:
    """Sort a request's recordings by number: 10 comes after 9."""
    stem, _, number = path.name.removesuffix(".json").rpartition(".")
    return (stem, int(number), "") if number.isdecimal() else (path.name, 0, number)


def _slug(text: str) -> str:
    return _UNFIT.sub("-", text).strip("-.")[:_NAME_CHARS] or "any"
