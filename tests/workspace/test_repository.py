"""What holds for every file of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Written in two parts, so that this file does not name them either.
PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/tm" + "p/", "/ho" + "me/")


def repository_files():
    """Tracked files and new ones that are not ignored, as git lists them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = (ROOT / name for name in listing.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_place_on_one_machine():
    files = repository_files()
    assert len(files) > 20
    found = [
        f"{path.relative_to(ROOT)} names {place}"
        for path in files
        for place in PLACES
        if place.encode() in path.read_bytes()
    ]
    assert found == []


def test_no_database_is_among_the_files():
    magic = b"SQLite format 3\0"
    found = [path for path in repository_files() if path.read_bytes().startswith(magic)]
    assert found == []


def test_the_licence_is_the_apache_licence_in_full():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
