# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's files as the check scripts see them, and how those report: in TAP."""
import argparse
import os
import re
import subprocess

TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")', re.M)
GENERATED_DIRECTORY = re.compile(r"^(build.*|m4|_.*|autom4te\.cache|\.git|\.pytest_cache)$")
GENERATED_FILES = {"configure", "configure~", "aclocal.m4", "Makefile.in", "config.h.in"}
C_DIRECTORIES = ("daemon", "libclient", "ctl", "tests", "docs")


def blank(text):
    """White space of the same shape, so that positions and line numbers stay."""
    return re.sub(r"[^\n]", " ", text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


class Include:
    def __init__(self, line, name, quoted):
        self.line, self.name, self.quoted = line, name, quoted


class CSource:
    """A C file: its text; `code`, without comments; `bare`, without comments and literals."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
            self.text = f.read()
        self.code = TOKEN.sub(lambda m: blank(m[0]) if m[0][0] == "/" else m[0], self.text)
        self.bare = TOKEN.sub(lambda m: blank(m[0]), self.text)
        self.includes = [
            Include(self.line_of(m.start()), m[1] or m[2], m[1] is None)
            for m in INCLUDE.finditer(self.code)
        ]

    def line_of(self, position):
        return line_of(self.text, position)

    def strings(self):
        """The string literals, each as (line, content)."""
        for m in TOKEN.finditer(self.text):
            if m[0][0] == '"':
                yield self.line_of(m.start()), m[0][1:-1]


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = self._list()
        self.sources = {
            p: CSource(root, p)
            for p in self.files
            if p.endswith((".c", ".h")) and p.split("/")[0] in C_DIRECTORIES
        }

    def _list(self):
        """Tracked and new files but ignored ones; without git, all that is not generated."""
        git = ["git", "-c", "safe.directory=*", "-C", self.root]
        git += ["ls-files", "-z", "-c", "-o", "--exclude-standard"]
        if os.path.exists(os.path.join(self.root, ".git")):
            try:
                out = subprocess.run(git, capture_output=True, check=True).stdout.decode()
                names = sorted(set(filter(None, out.split("\0"))))
                return [n for n in names if os.path.isfile(os.path.join(self.root, n))]
            except (OSError, subprocess.CalledProcessError):
                pass
        return sorted(self._walk())

    def _walk(self):
        for directory, names, files in os.walk(self.root):
            names[:] = [n for n in names if not GENERATED_DIRECTORY.match(n)]
            for name in files:
                path = os.path.relpath(os.path.join(directory, name), self.root)
                if path not in GENERATED_FILES:
                    yield path

    def texts(self):
        """The text of each file that is text."""
        texts = {}
        for path in self.files:
            with open(os.path.join(self.root, path), "rb") as f:
                data = f.read()
            try:
                if b"\0" not in data:
                    texts[path] = data.decode()
            except UnicodeDecodeError:
                pass
        return texts


def report(rules):
    """Prints the outcome of rules, {name: [violation]}; returns the exit status."""
    print(f"1..{len(rules)}")
    for number, (name, violations) in enumerate(rules.items(), 1):
        print(f"{'not ok' if violations else 'ok'} {number} - {name}")
        for violation in violations:
            print(f"# {violation}")
    return 1 if any(rules.values()) else 0


def run(rules, description):
    """A check script's main: rules(tree) gives what report() takes."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", default=top, help="the tree to check (the one this script is in)")
    return report(rules(Tree(os.path.normpath(parser.parse_args().root))))
