"""Real workers on a fake GPU, which runs out of memory, overlaps batches, or fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from celery import Celery

from tests.parts import Part, Stack, wait_for

TASK = "byline.attribute"
TEXTS = [("aeiou" if n % 2 else "xyzzy") * (1 + n % 6) + f" {n}" for n in range(300)]


def worker(own: Stack, name: str = "one", **env: str) -> Part:
    own.env |= {"BYLINE_MODEL": "tests.models:Letters", **env}
    return own.worker(name=name, module="tests.fake_gpu_worker")


def attributed(own: Stack, size: int) -> list[str]:
    """Sends all texts at once, in tasks of ``size`` texts. Returns the best author of each."""
    url = own.env["BYLINE_REDIS_URL"]
    with Celery(broker=url, backend=url, set_as_current=False) as app:
        sent = [
            app.send_task(TASK, [TEXTS[start : start + size]], queue="attributions")
            for start in range(0, len(TEXTS), size)
        ]
        answers = [answer for task in sent for answer in task.get(timeout=30)]
    return [answer["candidates"][0]["author"] for answer in answers]


EXPECTED = ["vowels" if n % 2 else "consonants" for n in range(len(TEXTS))]


def test_a_batch_that_does_not_fit_is_halved_and_every_message_is_answered(own: Stack) -> None:
    part = worker(own, TEST_GPU_MEMORY="40")
    assert attributed(own, 60) == EXPECTED
    assert "fake GPU has no memory for a pass of 256 cells: from now on 128 at most" in part.output
    assert "from now on 32 at most" in part.output
    assert own.queued() == 0
    wait_for(lambda: own.redis.hlen("byline:unacked") == 0, what="the last task to be acknowledged")


def test_a_device_with_two_batches_at_once_answers_each_task_correctly(
    own: Stack,
) -> None:
    # A task of seven messages is one batch and one pass. Two passes at once are two batches.
    part = worker(own, TEST_GPU_OVERLAPS="1", BYLINE_BATCH_MESSAGES="8", BYLINE_CHUNK_MESSAGES="8")
    assert attributed(own, 7) == EXPECTED
    assert "fake GPU: two at once" in part.output
    assert attributed(own, 1) == EXPECTED  # from the cache
    wait_for(lambda: own.redis.hlen("byline:unacked") == 0, what="the last task to be acknowledged")


def test_a_device_that_fails_for_good_ends_its_worker_and_another_does_the_rest(
    own: Stack,
) -> None:
    own.env |= {"BYLINE_BATCH_MESSAGES": "32", "BYLINE_CHUNK_MESSAGES": "32"}
    failing = worker(own, TEST_GPU_FAILS_AFTER="5")
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(attributed, own, 10)
        wait_for(lambda: not failing.alive, what="the worker to end")
        assert failing.process.returncode == 1
        assert "the device failed: fake GPU: illegal memory access" in failing.output
        del own.env["TEST_GPU_FAILS_AFTER"]
        worker(own, name="two")
        assert answers.result(30) == EXPECTED


def test_a_missing_device_ends_the_worker_with_the_reason(own: Stack) -> None:
    part = own.start_worker(BYLINE_DEVICE="cuda:7")
    assert part.process.wait(30) == 1
    assert "device cuda:7 can't be used" in part.output


def test_a_precision_that_the_model_lacks_ends_the_worker_with_the_reason(own: Stack) -> None:
    part = own.start_worker(BYLINE_PRECISION="bf16")
    assert part.process.wait(30) == 1
    assert "this model runs in fp32 only" in part.output
