"""Tests of the importer of commit messages, on real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.training.errors import DataError
from model.training.importers.gitlog import read_git
from model.training.importers.records import MAX_CHARACTERS, Reading
from tests.unit.model.training.importers.repositories import Commit, git, repository

LONG = "A message of enough characters"
BROKE = "It broke the nightly build."
PATCH = """diff --git a/x b/x
index 1..2 100644
--- a/x
+++ b/x
@@ -1,2 +1,2 @@
-a
+b
 c
"""


def kept(folder: Path, *commits: Commit, mailmap: str = "") -> tuple[list[str], dict[str, int]]:
    """Returns the texts of the commits of a new repository, and what is left out."""
    reading = Reading()
    records = read_git(repository(folder, commits, mailmap), reading)
    return [record.text for record in records], dict(reading.left_out)


def test_author_is_by_mailmap_and_document_is_the_month(tmp_path: Path) -> None:
    commits = [
        Commit(f"{LONG} {n}", name, day, address)
        for n, (name, day, address) in enumerate(
            (name, day, f"{name}@old.example")
            for day in (18_000, 18_031, 18_062)
            for name in ("ann", "Ann Lee", "Bob")
        )
    ]
    mailmap = "Ann Lee <ann@example.org> <ann@old.example>\n"
    records = read_git(repository(tmp_path, commits, mailmap), Reading())
    assert [record.author for record in records] == ["Ann Lee", "Ann Lee", "Bob"] * 3
    assert [record.document for record in records[::3]] == ["= 2019-04", "= 2019-05", "= 2019-06"]
    assert all(record.has_document for record in records)
    assert [record.text for record in records] == [f"{LONG} {n}" for n in range(9)]


def test_documents_are_days_if_the_history_is_too_short_for_months(tmp_path: Path) -> None:
    commits = [Commit(f"{LONG} {n}", ("Ann", "Bob")[n % 2], 18_000 + n // 2) for n in range(6)]
    reading = Reading()
    records = read_git(repository(tmp_path, commits), reading)
    assert [record.document for record in records[::2]] == [
        "= 2019-04-14",
        "= 2019-04-15",
        "= 2019-04-16",
    ]
    assert reading.notes == [
        "documents are days: fewer than two authors have 3 months with commits"
    ]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (f"{LONG}\n\nSigned-off-by: Ann <a@x>\nCo-authored-by: Bob <b@x>\n", LONG),
        (f"{LONG}\n\nWhy: because\n\nChange-Id: I0123\nFixes: #7\n", f"{LONG}\n\nWhy: because"),
        (f"{LONG}\n\nReviewed-by: Bob <b@x>\n\nand more words", f"{LONG}\n\nand more words"),
        (f"{LONG}\n\nno: trailer\nbut lines", f"{LONG}\n\nno: trailer\nbut lines"),
        (f'Revert "{LONG}"\n\nThis reverts commit 0123456789.\n\n{BROKE}', BROKE),
        (f'Reapply "{LONG}"\n\n{BROKE}', BROKE),
        (f"{LONG}:\n\n{PATCH}\n\nAfter it.", f"{LONG}:\n\nAfter it."),
        (f"{LONG}:\n\n  --- a/x\n  +++ b/x\n  -a\n\nAfter it.", f"{LONG}:\n\nAfter it."),
        (f"{LONG}:\n\nIndex: trunk/x\n{'=' * 67}\n--- a/x\n-a\n\nAfter.", f"{LONG}:\n\nAfter."),
        (f"Index: {LONG}\n\n{BROKE}", f"Index: {LONG}\n\n{BROKE}"),
        (f"{LONG}\n\n- a list\n- of points", f"{LONG}\n\n- a list\n- of points"),
        (f"{LONG}\n\n> what Bob has written\n\nwhat I think", f"{LONG}\n\nwhat I think"),
    ],
)  # fmt: skip
def test_trailers_quotes_patches_and_reverted_titles_are_no_part_of_the_text(
    tmp_path: Path, message: str, text: str
) -> None:
    assert kept(tmp_path, Commit(message)) == ([text], {})


@pytest.mark.parametrize(
    ("commit", "reason"),
    [
        (Commit(f'Revert "{LONG}"\n\nThis reverts commit 01234567.'), "reverts without a reason"),
        (Commit("Signed-off-by: Ann <a@x>"), "without words of their own"),
        (Commit("wip"), "shorter than 20 characters"),
        (Commit(""), "without words of their own"),
        (Commit("a" * (MAX_CHARACTERS + 1)), "longer than 1,048,576 characters"),
        (Commit("a" * 6 * MAX_CHARACTERS), "longer than 1,048,576 characters"),
        (Commit(LONG + "́" * 40), "the text or the name is invalid"),
        (Commit(LONG.encode() + b"\xff"), "not valid UTF-8"),
        (Commit(LONG, name="dependabot[bot]"), "written by programs"),
        (Commit(LONG, name="Renovate Bot", address="x@renovateapp.com"), "written by programs"),
        (Commit(LONG, name="CI", address="github-actions@github.com"), "written by programs"),
        (Commit(LONG, merged=1), "merges"),
    ],
)  # fmt: skip
def test_commits_without_a_persons_words_are_left_out_and_counted(
    tmp_path: Path, commit: Commit, reason: str
) -> None:
    first, second = Commit(f"{LONG} 1"), Commit(f"{LONG} 2")
    assert kept(tmp_path, first, second, commit) == ([f"{LONG} 1", f"{LONG} 2"], {reason: 1})


@pytest.mark.parametrize(
    ("name", "address"), [("Abbot Renovated", "a@example.org"), ("Ann", "ann@weblate.org")]
)
def test_person_with_a_name_like_that_of_a_program_is_kept(
    tmp_path: Path, name: str, address: str
) -> None:
    assert kept(tmp_path, Commit(LONG, name, address=address)) == ([LONG], {})


def test_settings_of_the_user_do_not_change_what_git_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[log]\nshowSignature = true\nmailmap = false\ndate = raw\n[color]\nui = always\n"
        "[i18n]\nlogOutputEncoding = latin1\n[format]\npretty = oneline\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert kept(tmp_path / "a", Commit(f"{LONG}, naïve")) == ([f"{LONG}, naïve"], {})


def test_shallow_clone_is_read_and_noted(tmp_path: Path) -> None:
    whole = repository(tmp_path / "whole", [Commit(f"{LONG} {n}") for n in range(3)])
    git(tmp_path, "clone", "--quiet", "--depth=1", whole.as_uri(), "shallow")
    reading = Reading()
    assert [record.text for record in read_git(tmp_path / "shallow", reading)] == [f"{LONG} 2"]
    assert "the repository is shallow" in reading.notes[0]


def test_bare_clone_is_read(tmp_path: Path) -> None:
    whole = repository(tmp_path / "whole", [Commit(LONG)])
    git(tmp_path, "clone", "--quiet", "--bare", str(whole), "bare")
    assert len(read_git(tmp_path / "bare", Reading())) == 1


def test_folders_that_are_no_repository_with_commits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    (tmp_path / "folder").mkdir()
    repository(tmp_path / "empty")
    (repository(tmp_path / "top", [Commit(LONG)]) / "below").mkdir()
    for name, words in {
        "gone": "gone: No such file or directory: name the folder of a git repository",
        "file": "file: not a folder: name the folder of a git repository",
        "folder": r"folder: git says .not a git repository.*: name a repository in which",
        "empty": "empty: the repository has no commits: name another",
        "top/below": "below: a folder within a repository: name its top, .*top$",
    }.items():
        with pytest.raises(DataError, match=words) as raised:
            read_git(tmp_path / name, Reading())
        assert "\n" not in str(raised.value)


def test_damaged_repository_is_refused_with_the_words_of_git(tmp_path: Path) -> None:
    folder = repository(tmp_path, [Commit(f"{LONG} {n}") for n in range(3)])
    first = git(folder, "rev-list", "--max-parents=0", "HEAD").strip()
    (folder / ".git/objects" / first[:2] / first[2:]).unlink()
    with pytest.raises(DataError, match=r"git says .*: name a repository in which git log works"):
        read_git(folder, Reading())


def test_program_that_a_partial_clone_names_for_fetching_is_not_run(tmp_path: Path) -> None:
    folder = repository(tmp_path / "mine", [Commit(f"{LONG} {n}") for n in range(3)])
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": str(tmp_path),
        "remote.origin.uploadPack": f"touch {tmp_path / 'run'};",
    }.items():
        git(folder, "config", name, value)
    first = git(folder, "rev-list", "--max-parents=0", "HEAD").strip()
    (folder / ".git/objects" / first[:2] / first[2:]).unlink()
    with pytest.raises(DataError, match=r"git says .*: name .*, and no partial clone"):
        read_git(folder, Reading())
    assert not (tmp_path / "run").exists()


def test_current_branch_without_commits_is_refused_with_its_name(tmp_path: Path) -> None:
    folder = repository(tmp_path, [Commit(LONG)])
    git(folder, "symbolic-ref", "HEAD", "refs/heads/new")
    with pytest.raises(DataError, match=r"git says .*branch 'new' does not have any commits yet"):
        read_git(folder, Reading())


def test_folder_with_a_space_at_the_end_of_its_name_is_read(tmp_path: Path) -> None:
    assert len(read_git(repository(tmp_path / "mine ", [Commit(LONG)]), Reading())) == 1


def test_missing_git_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="git is not installed: install it"):
        read_git(tmp_path, Reading())
