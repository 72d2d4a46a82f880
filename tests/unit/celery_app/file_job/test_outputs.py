"""The part file of a file job: a job goes on where its journal says, and puts it in place."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import msgspec
import pytest

from celery_app.file_job import outputs
from celery_app.file_job.errors import JobError
from celery_app.file_job.journal import Journal
from celery_app.file_job.opening import Files, open_files
from celery_app.file_job.outputs import PartFile
from celery_app.file_job.readers.rows import Row
from celery_app.file_job.results import Counts, encode
from tasks.messages import Attribution, Candidate, Failure

OUTCOMES = [
    Attribution("a1", "Ann", 0.9, (Candidate("Ann", 0.9), Candidate("Bob", 0.1)), "v1"),
    Attribution("a2", None, 0.5, (Candidate("Ann", 0.5),), "v1", cached=True),
    Failure("", "invalid", "text is empty"),
]
REFS = [b'"x"', b"7", b'{"page": 1}']
LINES = b"".join(
    encode(Row("", msgspec.Raw(ref)), outcome, explain=False)
    for ref, outcome in zip(REFS, OUTCOMES, strict=True)
)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n{"text": ""}\n')
    return tmp_path / "in.jsonl"


def opened(out: Path | str, given: Path, explain: bool = False) -> Files:
    return open_files(str(given), str(out), explain)


def begun(out: Path, given: Path) -> PartFile:
    files = opened(out, given)
    assert isinstance(files.output, PartFile)
    assert files.identity is not None
    files.output.keep_journal(files.begun or Journal(files.identity, "v1", False, Counts()))
    return files.output


def counted(rows: int, offset: int) -> Counts:
    counts = Counts()
    counts.add(OUTCOMES[:rows], offset)
    return counts


def test_results_are_counted_by_their_kind() -> None:
    assert counted(3, 42) == Counts(42, 3, 1, 1, {"invalid": 1})


def test_a_closed_job_goes_on_behind_its_results(tmp_path: Path, given: Path) -> None:
    out = tmp_path / "out.jsonl"
    first, second, third = LINES.splitlines(keepends=True)
    output = begun(out, given)
    output.write(first + second, counted(2, 28))
    output.close()
    assert not out.exists()
    _, again, found = opened(out, given)
    assert found is not None
    assert found.counts == counted(2, 28)
    again.write(third, counted(3, 41))
    again.finish()
    again.close()
    assert out.read_bytes() == LINES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_job_that_ends_as_it_puts_the_output_in_place_goes_on(
    tmp_path: Path, given: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / name
    output = begun(out, given)
    output.write(LINES, counted(3, 41))
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            output.finish()
    output.close()
    _, again, found = opened(out, given)
    assert found is not None
    assert found.counts == counted(3, 41)
    again.finish()
    again.close()
    assert out.read_text().count("\n") >= len(REFS)


def test_file_that_another_job_has_just_put_in_place_is_not_cut(
    tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begun(out := tmp_path / "out.jsonl", given)
    first.write(LINES, counted(3, 41))

    def finished_meanwhile(*_: object) -> None:
        first.finish()
        first.close()

    monkeypatch.setattr(outputs.fcntl, "flock", finished_meanwhile)
    with pytest.raises(JobError, match="another job has just finished"):
        PartFile(out, None)
    assert out.read_bytes() == LINES


def test_what_the_journal_does_not_count_is_cut_off(tmp_path: Path, given: Path) -> None:
    out = tmp_path / "out.jsonl"
    first = LINES.splitlines(keepends=True)[0]
    output = begun(out, given)
    output.write(first, counted(1, 14))
    output.close()
    with (tmp_path / "out.jsonl.part").open("ab") as file:
        file.write(b'{"id":"half of a li')
    opened(out, given).output.close()
    assert (tmp_path / "out.jsonl.part").read_bytes() == first


def test_csv_and_parquet_have_a_row_for_each_result(tmp_path: Path, given: Path) -> None:
    pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("out.csv", "out.parquet"):
        output = begun(tmp_path / name, given)
        output.write(LINES, counted(3, 41))
        output.finish()
        output.close()
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ref"] for row in rows] == ["x", "7", '{"page":1}']
    assert [row["author"] for row in rows] == ["Ann", "", ""]
    assert json.loads(rows[0]["candidates"])[1] == {"author": "Bob", "confidence": 0.1}
    assert (rows[2]["code"], rows[2]["detail"]) == ("invalid", "text is empty")
    table = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["confidence"] for row in table] == [0.9, 0.5, None]
    assert table[0]["candidates"][1] == {"author": "Bob", "confidence": 0.1}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_ref_of_any_number_is_kept_in_csv(tmp_path: Path, given: Path) -> None:
    output = begun(tmp_path / "out.csv", given)
    refs = ("1e999", "1.00", "null")
    lines = (f'{{"error":{{"code":"c","detail":"d"}},"ref":{ref}}}\n' for ref in refs)
    output.write("".join(lines).encode(), counted(3, 41))
    output.finish()
    output.close()
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["ref"] for row in csv.DictReader(file)] == ["1e999", "1.00", ""]


def test_two_jobs_can_not_write_one_output(tmp_path: Path, given: Path) -> None:
    output = begun(tmp_path / "out.jsonl", given)
    with pytest.raises(JobError, match="another job is writing this file"):
        begun(tmp_path / "out.jsonl", given)
    output.close()


def interrupted(out: Path, given: Path) -> None:
    output = begun(out, given)
    output.write(LINES, counted(3, 41))
    output.close()


def test_another_input_is_refused_and_the_part_file_stays(tmp_path: Path, given: Path) -> None:
    out = tmp_path / "out.jsonl"
    interrupted(out, given)
    given.write_text('{"text": "another"}\n')
    with pytest.raises(JobError, match=r"the input changed since .* remove .*out\.jsonl\.part"):
        opened(out, given)
    assert (tmp_path / "out.jsonl.part").read_bytes() == LINES


def test_other_options_are_refused(tmp_path: Path, given: Path) -> None:
    out = tmp_path / "out.jsonl"
    interrupted(out, given)
    with pytest.raises(JobError, match="this job began without EXPLAIN=1"):
        opened(out, given, explain=True)
    assert (tmp_path / "out.jsonl.part").read_bytes() == LINES


def test_a_removed_part_file_begins_the_job_anew(tmp_path: Path, given: Path) -> None:
    out = tmp_path / "out.jsonl"
    interrupted(out, given)
    (tmp_path / "in.jsonl").write_text('{"text": "another"}\n')
    (tmp_path / "out.jsonl.part").unlink()
    files = opened(out, given)
    assert files.begun is None
    files.output.close()


def test_a_shorter_part_file_is_refused(tmp_path: Path, given: Path) -> None:
    interrupted(tmp_path / "out.jsonl", given)
    (tmp_path / "out.jsonl.part").write_bytes(LINES[:-5])
    with pytest.raises(JobError, match="shorter than its journal says"):
        opened(tmp_path / "out.jsonl", given)


@pytest.mark.parametrize("content", ["", "{}", "[]", "nonsense"])
def test_a_journal_that_can_not_be_read_is_refused(
    content: str, tmp_path: Path, given: Path
) -> None:
    interrupted(tmp_path / "out.jsonl", given)
    (tmp_path / "out.jsonl.journal").write_text(content)
    with pytest.raises(JobError, match="no journal of a file job"):
        opened(tmp_path / "out.jsonl", given)


@pytest.mark.parametrize(
    ("name", "explain", "error"),
    [
        ("", False, "a folder: name a file in it"),
        ("missing/out.jsonl", False, "missing: no such folder: make it: mkdir -p "),
        ("in.jsonl/out.jsonl", False, "no such folder"),
        ("in.jsonl", False, "the input and the output are one file"),
        ("out.txt", False, "unknown extension '.txt': use one of .jsonl"),
        ("out.csv", True, "only .jsonl has room for evidence"),
    ],
)
def test_an_output_that_can_not_be_written_is_refused_with_a_remedy(
    name: str, explain: bool, error: str, tmp_path: Path, given: Path
) -> None:
    with pytest.raises(JobError, match=error):
        opened(tmp_path / name, given, explain)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_folder_that_can_not_be_written_to_is_refused(given: Path) -> None:
    with pytest.raises(JobError, match="name an output in a folder that you can write to"):
        opened("/proc/out.jsonl", given)
