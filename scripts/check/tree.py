# SPDX-License-Identifier: Apache-2.0
"""The source files of this tree, for the checks beside this file; no program of its own.

Walks the tree and does not ask git, so that it sees files not yet added, and works in a tarball.
"""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _is_source_dir(name):
    if name in (".ci", ".github"):
        return True
    return not name.startswith((".", "build")) and name not in ("__pycache__", "corpus")


def files(*suffixes, under=""):
    """Paths, relative to the root and sorted; with suffixes, those that end so."""
    found = []
    for folder, dirs, names in os.walk(os.path.join(ROOT, under)):
        dirs[:] = [d for d in dirs if _is_source_dir(d)]
        found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    return sorted(f for f in found if not suffixes or f.endswith(suffixes))


def c_files():
    return [f for f in files(".c", ".h") if f.split("/")[0] in ("src", "fuzz", "bench", "tests")]


def scripts():
    """Files that start with #!, by the first line's interpreter: (path, "bash")."""
    found = []
    for path in files():
        with open(os.path.join(ROOT, path), "rb") as f:
            first = f.readline(200)
        if first.startswith(b"#!"):
            found.append((path, os.path.basename(first.split()[-1].decode())))
    return found


def lines(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read().split("\n")


def is_test(path):
    return path.endswith(("_test.c", "_fixture.h")) or path.split("/")[0] == "tests"


def report(name, complaints, summary):
    """Print complaints, or the summary; the exit code."""
    for line in complaints:
        print(line)
    print(f"{name}: {len(complaints)} complaints" if complaints else f"{name}: {summary}")
    return 1 if complaints else 0
