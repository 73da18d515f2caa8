"""What a crash of the machine may leave on disk, by the model of ALICE (Pillai et al. 2014).

What a program tells the file system is recorded. What it synced is sure; of the rest each write may be
kept, lost, torn or all zeros, and each change of a directory kept or lost, in any combination. A rename
inside one directory is one change. Replaying gives every disk that the program may find afterwards.
"""

import builtins
import io
import itertools
import os
from pathlib import Path
from typing import NamedTuple

ROOT = 0


class Write(NamedTuple):
    node: int
    data: bytes

    outcomes = ("kept", "lost", "torn", "zeros")


class Names(NamedTuple):
    """A change of a directory: an entry (name, node) goes, one comes, or both."""

    node: int
    goes: tuple[str, int] | None
    comes: tuple[str, int] | None

    outcomes = ("kept", "lost")


class Sync(NamedTuple):
    node: int


class Done(NamedTuple):
    """The program was told that so many of its saves are finished."""

    saves: int


class Recorder:
    """Records what is done below a directory from `install` on; its nodes have numbers of our own."""

    def __init__(self, root):
        self.changes = []
        self._root = os.fspath(root)
        self._nodes = {os.stat(root).st_ino: ROOT}
        self._numbers = itertools.count(1)

    def install(self, monkeypatch):
        self._real = {name: getattr(os, name) for name in ("mkdir", "unlink", "rmdir", "replace")}
        self._fsync, self._open = os.fsync, io.open
        monkeypatch.setattr(os, "mkdir", self._mkdir)
        monkeypatch.setattr(os, "unlink", lambda *a, **k: self._remove("unlink", *a, **k))
        monkeypatch.setattr(os, "rmdir", lambda *a, **k: self._remove("rmdir", *a, **k))
        monkeypatch.setattr(os, "replace", self._replace)
        monkeypatch.setattr(os, "fsync", self._sync)
        monkeypatch.setattr(io, "open", self._open_file)
        monkeypatch.setattr(builtins, "open", self._open_file)

    def _entry(self, path, dir_fd=None):
        """The node of the directory and the name, node of an entry."""
        parent = os.stat(Path(path).parent) if dir_fd is None else os.fstat(dir_fd)
        inode = os.stat(path, dir_fd=dir_fd).st_ino
        return self._nodes.get(parent.st_ino), (Path(path).name, self._nodes.get(inode))

    def _new(self, path, dir_fd=None):
        self._nodes[os.stat(path, dir_fd=dir_fd).st_ino] = next(self._numbers)
        parent, entry = self._entry(path, dir_fd)
        self.changes.append(Names(parent, None, entry))

    def _mkdir(self, path, mode=0o777, *, dir_fd=None):
        self._real["mkdir"](path, mode, dir_fd=dir_fd)
        self._new(path, dir_fd)

    def _remove(self, kind, path, *, dir_fd=None):
        parent, entry = self._entry(path, dir_fd)
        self._real[kind](path, dir_fd=dir_fd)
        self.changes.append(Names(parent, entry, None))

    def _replace(self, source, target):
        parent, (old, node) = self._entry(source)
        self._real["replace"](source, target)
        assert self._entry(target)[0] == parent, "the model knows renames inside one directory"
        self.changes.append(Names(parent, (old, node), (Path(target).name, node)))

    def _sync(self, handle):
        self._fsync(handle)
        self.changes.append(Sync(self._nodes[os.fstat(handle).st_ino]))

    def _open_file(self, path, mode="r", *arguments, **options):
        if "w" not in mode or not os.fspath(path).startswith(self._root):
            return self._open(path, mode, *arguments, **options)
        assert not os.path.exists(path), "the model knows new files only"
        file = io.BufferedWriter(_File(path, self))
        self._new(path)
        return file if "b" in mode else io.TextIOWrapper(file, encoding="utf-8")


class _File(io.FileIO):
    def __init__(self, path, recorder):
        super().__init__(path, "w")
        self._recorder = recorder

    def write(self, data):
        written = super().write(data)
        node = self._recorder._nodes[os.fstat(self.fileno()).st_ino]
        self._recorder.changes.append(Write(node, bytes(data)[:written]))
        return written


def crashes(changes):
    """Every disk that a crash may leave, as (saves done by then, tree); trees are nested dicts."""
    found = {}
    for end in range(len(changes) + 1):
        before = changes[:end]
        saves = max((c.saves for c in before if isinstance(c, Done)), default=0)
        known = [c for c in before if isinstance(c, Write | Names)]
        unsure = _unsure(before)
        for outcomes in itertools.product(*(c.outcomes for c in unsure)):
            tree = _replay(known, dict(zip(map(id, unsure), outcomes, strict=True)))
            found[saves, repr(tree)] = saves, tree
    return list(found.values())


def _unsure(changes):
    """The changes that no sync follows, but for those of nodes that are surely gone."""
    unsure, gone = [], set()
    for number, change in enumerate(changes):
        if isinstance(change, Write | Names):
            if Sync(change.node) not in changes[number:]:
                unsure.append(change)
            elif isinstance(change, Names) and change.goes and not change.comes:
                gone.add(change.goes[1])
    return [change for change in unsure if change.node not in gone]


def _replay(changes, outcomes):
    nodes = {ROOT: {}}
    for change in changes:
        outcome = outcomes.get(id(change), "kept")
        if outcome == "lost":
            continue
        if isinstance(change, Write):
            data = {"torn": change.data[: len(change.data) // 2], "zeros": bytes(len(change.data))}
            nodes[change.node] = nodes.get(change.node, b"") + data.get(outcome, change.data)
        else:
            names = nodes.setdefault(change.node, {})
            if change.goes:
                names.pop(change.goes[0], None)
            if change.comes:
                names[change.comes[0]] = change.comes[1]
    return _tree(nodes, ROOT)


def _tree(nodes, node):
    content = nodes.get(node, b"")
    if isinstance(content, bytes):
        return content
    return {name: _tree(nodes, child) for name, child in sorted(content.items())}


def write_out(tree, path):
    """Makes a tree's directories and files at `path`."""
    if isinstance(tree, bytes):
        path.write_bytes(tree)
        return
    path.mkdir()
    for name, child in tree.items():
        write_out(child, path / name)
