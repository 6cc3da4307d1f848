"""What is committed reads the same on every machine."""

import re
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

# In pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(
    "|".join(
        [
            r"(?<![\w.-])/" + r"(?:work|root)/",
            r"(?<![\w.-])/" + r"home/(?!nonroot|reactorsync)\w+/",
            r"(?<![\w.-])/" + r"Users/\w+/",
            r"bash_" + r"jobs",
        ]
    )
)
BINARY = {".arrow", ".gz", ".ico", ".png", ".woff2"}
LARGEST_BYTES = 400_000


@pytest.fixture(scope="session")
def texts(files: list[Path]) -> dict[Path, str]:
    return {path: path.read_text() for path in files if path.suffix not in BINARY}


def test_no_file_knows_the_machine_it_was_written_on(texts: dict[Path, str]) -> None:
    found = {
        path.name: match[0] for path, text in texts.items() if (match := MACHINE_PATHS.search(text))
    }

    assert found == {}


def test_no_file_names_a_package_index(texts: dict[Path, str]) -> None:
    hosts = (PyPI.netloc, PyPI.file_storage_domain)

    assert [path.name for path, text in texts.items() if any(host in text for host in hosts)] == []


def test_every_text_ends_with_one_newline(texts: dict[Path, str]) -> None:
    wrong = [
        path.name
        for path, text in texts.items()
        if text and (not text.endswith("\n") or text.endswith("\n\n"))
    ]

    assert wrong == []


def test_no_file_is_large(files: list[Path]) -> None:
    assert [path.name for path in files if path.stat().st_size > LARGEST_BYTES] == []


def test_every_link_between_documents_leads_somewhere(root: Path, texts: dict[Path, str]) -> None:
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path, text in texts.items()
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)
        if not (path.parent / target).exists()
    ]

    assert broken == []


def test_every_decision_is_listed(root: Path) -> None:
    folder = root / "docs" / "adr"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    numbers = [int(name[:4]) for name in records]

    assert numbers == list(range(1, len(records) + 1))
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == records
