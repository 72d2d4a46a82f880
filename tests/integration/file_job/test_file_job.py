"""A file job against real workers: order, errors, pipes, formats, and what is refused."""

from __future__ import annotations

import csv
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.system.usage import pss
from celery_app.file_job.job import SLOW_OUTPUT
from tests.integration.file_job.jobs import (
    COMMAND,
    piped,
    results,
    run,
    saved,
    start,
    texts,
    wait_for_rows,
)
from tests.parts import ROOT, Stack

ODD = [*texts("odd", 3), "", "POISON of the file", 5, "b\0", *texts("more", 2)]
CODES = [None] * 3 + ["invalid", "model_failed", "invalid", "invalid"] + [None] * 2


def test_each_row_has_its_result_in_order(stack: Stack, tmp_path: Path) -> None:
    given = texts("order", 3000)
    data, out = saved(tmp_path, "in.jsonl", given), tmp_path / "out.jsonl"
    said = run(stack, data, out)
    found = results(out)
    assert [each["ref"] for each in found] == list(range(3000))
    assert [each["author"] for each in found] == ["consonants", "vowels"] * 1500
    assert "byline: 3,000 rows; " in said
    assert "3,000 attributions with an author; 0 abstentions" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_result_is_that_of_the_api_but_for_the_field_cached(stack: Stack, tmp_path: Path) -> None:
    data, out = saved(tmp_path, "in.jsonl", ["aeiou and xyz"]), tmp_path / "out.jsonl"
    run(stack, data, out)
    [found] = results(out)
    answered = stack.attribute({"messages": [{"text": "aeiou and xyz", "ref": "0"}]}).json()
    [expected] = answered["attributions"]
    del expected["cached"]
    assert {**found, "ref": str(found["ref"])} == expected


def test_an_error_is_the_result_of_its_row(stack: Stack, tmp_path: Path) -> None:
    data, out = saved(tmp_path, "in.jsonl", ODD), tmp_path / "out.jsonl"
    said = run(stack, data, out)
    found = results(out)
    assert [each.get("error", {}).get("code") for each in found] == CODES
    assert [each["ref"] for each in found] == list(range(len(ODD)))
    assert "4 errors: invalid 3, model_failed 1" in said


def test_a_pipe_is_read_and_written(stack: Stack) -> None:
    given = "".join(json.dumps({"text": text}) + "\n" for text in texts("pipe", 500))
    done = piped(stack, given, "--data", "-", "--out", "-")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["author"] for each in found] == ["consonants", "vowels"] * 250
    assert "byline: 500 rows; " in done.stderr


def test_rows_of_an_open_pipe_get_their_results_before_its_end(stack: Stack) -> None:
    options = ["--data", "-", "--out", "-"]
    job = subprocess.Popen(
        [*COMMAND, *options],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **stack.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    with job:
        assert job.stdin is not None
        assert job.stdout is not None
        for author in ("vowels", "consonants"):
            job.stdin.write(json.dumps({"text": "aeiou" if author == "vowels" else "xyz"}) + "\n")
            assert json.loads(job.stdout.readline())["author"] == author
        job.stdin.close()
    assert job.returncode == 0


def test_a_reader_that_ends_early_ends_the_job_with_one_line(stack: Stack, tmp_path: Path) -> None:
    data = saved(tmp_path, "in.jsonl", texts("early", 3000))
    command = f"{' '.join(COMMAND)} --data {data} --out - | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **stack.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout.count("\n") == 1
    assert done.stderr.startswith("byline: standard output: Broken pipe after ")
    assert done.stderr.count("\n") == 1


def test_a_job_whose_reader_stands_still_can_be_stopped(stack: Stack, tmp_path: Path) -> None:
    data = saved(tmp_path, "in.jsonl", texts("unread", 3000))
    with subprocess.Popen(
        [*COMMAND, "--data", str(data), "--out", "-"],
        cwd=ROOT,
        env=stack.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stderr is not None
        try:
            assert SLOW_OUTPUT in job.stderr.readline()
            job.send_signal(signal.SIGINT)
            assert job.wait(20) == 130
            assert "byline: stopped after " in job.stderr.read()
        finally:
            job.kill()


def test_csv_goes_in_and_out(stack: Stack, tmp_path: Path) -> None:
    data, out = tmp_path / "in.csv", tmp_path / "out.csv"
    data.write_text('text;id\n"aeiou; ""one""\nline";a\nxyz;b\n;c\n')
    run(stack, data, out)
    with out.open(newline="") as file:
        rows = [(row["ref"], row["author"], row["code"]) for row in csv.DictReader(file)]
    assert rows == [("a", "vowels", ""), ("b", "consonants", ""), ("c", "", "invalid")]


def test_parquet_goes_in_and_out(stack: Stack, tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    data, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(arrow.table({"id": [1, 2], "text": ["aeiou", "xyz"]}), data)
    run(stack, data, out)
    rows = parquet.read_table(out).to_pylist()
    assert [(row["ref"], row["author"]) for row in rows] == [("1", "vowels"), ("2", "consonants")]


def test_an_empty_file_has_an_empty_output(stack: Stack, tmp_path: Path) -> None:
    data, out = saved(tmp_path, "in.jsonl", []), tmp_path / "out.jsonl"
    assert "byline: 0 rows; " in run(stack, data, out)
    assert out.read_bytes() == b""


@pytest.mark.parametrize(
    ("data", "out", "error"),
    [
        ("missing.jsonl", "out.jsonl", "missing.jsonl: No such file or directory: check the name"),
        (".", "out.jsonl", "Is a directory: name a file"),
        ("in.jsonl", "no/out.jsonl", "no: no such folder: make it: mkdir -p "),
        ("in.jsonl", "in.jsonl", "the input and the output are one file: name another output"),
    ],
)
def test_a_file_that_can_not_be_used_is_one_line(
    data: str, out: str, error: str, stack: Stack, tmp_path: Path
) -> None:
    saved(tmp_path, "in.jsonl", ["aeiou"])
    said = run(stack, tmp_path / data, tmp_path / out, status=2)
    assert said.startswith("byline: ")
    assert said.endswith("\n")
    assert said.count("\n") == 1
    assert error in said


def test_a_full_disk_ends_the_job_which_goes_on_when_there_is_room(
    stack: Stack, tmp_path: Path
) -> None:
    data, out = saved(tmp_path, "in.jsonl", texts("full", 2000)), tmp_path / "out.jsonl"
    done = subprocess.run(
        [*COMMAND, "--data", str(data), "--out", str(out)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **stack.env},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        f"byline: {out}.part: File too large: make room, and run the same command again\n"
    )
    assert not out.exists()
    said = run(stack, data, out)
    assert "of them before this start" in said
    assert [each["ref"] for each in results(out)] == list(range(2000))


def test_memory_does_not_grow_with_the_number_of_rows(stack: Stack, tmp_path: Path) -> None:
    given = texts("memory", 2000) * 100
    data, out = saved(tmp_path, "in.jsonl", given), tmp_path / "out.jsonl"
    job = start(stack, data, out)
    wait_for_rows(job, out, 20_000)
    before = pss(job.process.pid)
    wait_for_rows(job, out, 100_000)
    grown = pss(job.process.pid) - before
    job.kill()
    assert before > 0
    assert grown < 20e6


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        (["DATA={folder}/in.jsonl", "OUT={folder}/out.jsonl"], 0, "byline: 2 rows; "),
        (["DATA={folder}/in.jsonl"], 2, "byline: name both files: make attribute DATA="),
    ],
)
def test_make_attribute_runs_the_job(
    options: list[str], status: int, error: str, stack: Stack, tmp_path: Path
) -> None:
    saved(tmp_path, "in.jsonl", ["aeiou", "xyz"])
    done = subprocess.run(
        [
            *("make", "--no-print-directory", "attribute", f"VENV={sys.prefix}"),
            *("-o", f"{sys.prefix}/run.stamp", "-o", f"{sys.prefix}/dev.stamp"),
            *(option.format(folder=tmp_path) for option in options),
        ],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **stack.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(error)
    assert done.stdout == ""
