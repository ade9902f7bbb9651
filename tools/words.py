"""The word list: plain English and the field's terms, wherever a person reads.

Belongs here: reading the tables of docs/glossary.md, which are the only place where the list is kept, and finding what
they rule out in every tracked source and document. Does not: the list itself, and any rule of grammar or style.

`python -m tools.words` prints each finding as path:line and fails if there is one; `--counts` prints findings per
file instead, including those of paths that are not translated yet. A list of paths narrows both.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = "docs/glossary.md"
SUFFIXES = {".py", ".sql", ".yml", ".yaml", ".md", ".toml", ".html", ".j2", ".js", ".css"}
NAMES = {"Makefile", "run", ".env.example", ".editorconfig"}

# Between two words of a phrase: white space, and what a comment or an identifier puts there.
_GAP = r"[\s#>*_-]+"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_QUOTED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class WordList:
    """What the glossary rules out.

    `words`: a word or phrase and its replacement. `names`: the same for names of functions and classes.
    `kept`: literal text that stays, by path prefix ("" is everywhere). `untranslated`: paths not held to it yet.
    """

    words: tuple[tuple[str, str], ...]
    names: tuple[tuple[str, str], ...]
    kept: tuple[tuple[str, str], ...]
    untranslated: tuple[str, ...]
    _pattern: re.Pattern[str] = field(init=False, repr=False)
    _definition: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        phrases = (_GAP.join(map(re.escape, phrase.split())) for phrase, _ in self.words)
        object.__setattr__(self, "_pattern", re.compile(rf"(?<![a-z])({'|'.join(phrases)})(?![a-z])"))
        names = "|".join(re.escape(name) for name, _ in self.names)
        definition = re.compile(rf"^\s*(?:async )?(?:def|class) ((?:\w*[a-z])?(?:{names}))\b")
        object.__setattr__(self, "_definition", definition)

    def is_untranslated(self, path: str) -> bool:
        return any(path == prefix or path.startswith(f"{prefix.rstrip('/')}/") for prefix in self.untranslated)

    def findings(self, path: str, text: str) -> Iterator[Finding]:
        """Each occurrence in `text`, which is that of the file `path`."""
        for prefix, kept in self.kept:
            if path.startswith(prefix):
                text = text.replace(kept, "·" * len(kept))
        # CamelCase is read as its words. Lines stay what they are, so that a position still names its line.
        readable = _CAMEL.sub(" ", text).lower()
        replacement = dict(self.words)
        for match in self._pattern.finditer(readable):
            phrase = " ".join(re.split(_GAP, match.group()))
            yield Finding(path, readable.count("\n", 0, match.start()) + 1, phrase, replacement[phrase])
        if path.endswith(".py"):
            instead = dict(self.names)
            for number, line in enumerate(text.splitlines(), 1):
                if defined := self._definition.match(line):
                    name = next(name for name in instead if defined.group(1).endswith(name))
                    yield Finding(path, number, defined.group(1), instead[name])


@dataclass(frozen=True)
class Finding:
    """One word where it should not be."""

    path: str
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: `{self.found}`; write: {self.instead}"


def read_list(text: str) -> WordList:
    """The glossary's three tables and its list of paths. A cell holds its terms in backticks."""
    return WordList(
        words=tuple(_pairs(text, "Words we replace")),
        names=tuple(_pairs(text, "Names we replace")),
        kept=tuple((where, kept) for kept, where in _kept(text)),
        untranslated=tuple(term for line in _section(text, "Not translated yet") for term in _QUOTED.findall(line)),
    )


def _section(text: str, heading: str) -> list[str]:
    """The rows and items below a heading: lines that begin with `|` or `-`, without a table's head."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise SystemExit(f"{GLOSSARY} has no section `{heading}`")
    lines = [line.strip() for line in match.group(1).splitlines()]
    rows = [line for line in lines if line.startswith("|")]
    return rows[2:] + [line for line in lines if line.startswith("- ")]


def _pairs(text: str, heading: str) -> Iterator[tuple[str, str]]:
    for row in _section(text, heading):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        for term in _QUOTED.findall(cells[0]):
            yield term, cells[1]


def _kept(text: str) -> Iterator[tuple[str, str]]:
    for row in _section(text, "Old words that stay"):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        for term in _QUOTED.findall(cells[0]):
            for where in _QUOTED.findall(cells[1]) or [""]:
                yield term, where


def tracked(root: Path = ROOT) -> list[str]:
    """The files that people read, as git knows them and as they would be added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(
        name
        for name in listed
        if (Path(name).suffix in SUFFIXES or Path(name).name in NAMES)
        and name not in (GLOSSARY, "tools/words.py", "tests/test_words.py")
        and (root / name).is_file()
    )


def main(arguments: Sequence[str]) -> int:
    counts_only = "--counts" in arguments
    narrowed = tuple(argument.rstrip("/") for argument in arguments if not argument.startswith("--"))
    words = read_list((ROOT / GLOSSARY).read_text())
    paths = [p for p in tracked() if not narrowed or any(p == n or p.startswith(f"{n}/") for n in narrowed)]
    found = [finding for path in paths for finding in words.findings(path, (ROOT / path).read_text())]
    if counts_only:
        counts = Counter(finding.path for finding in found)
        for path, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            print(f"{count:5d}  {path}{'' if words.is_untranslated(path) else '  (held to the list)'}")
        print(f"{sum(counts.values()):5d}  in {len(counts)} files")
        return 0
    broken = [finding for finding in found if narrowed or not words.is_untranslated(finding.path)]
    print(*broken, sep="\n", end="\n" if broken else "")
    if not narrowed:
        for prefix in words.untranslated:
            if not any(finding.path.startswith(prefix) for finding in found):
                print(f"note: {prefix} has no such word left; remove it from `Not translated yet` in {GLOSSARY}")
    if broken:
        print(f"{len(broken)} words of the list in {GLOSSARY}", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
