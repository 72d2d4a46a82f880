"""A claim: a Redis command that takes tasks, and records them as unacknowledged, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any, NamedTuple

from tasks.storage.lua_scripts import read_script

CLAIM_SCRIPT = read_script(Path(__file__).with_name("claim.lua"))

#: Largest number of tasks that one claim takes. Other workers can't take these tasks any more.
CLAIM = 4
#: While each claim leaves tasks in the lists, one claim in this many takes tasks of a lower
#: priority first. Otherwise these tasks would wait for ever behind a list that is never empty.
LATER_FIRST = 8


class ClaimPrefix(NamedTuple):
    """The part that is equal in all claims (commands that take tasks) on the same Redis lists."""

    #: The command's beginning, up to the last key.
    command: list[Any]
    #: For each list, 1 if its tasks are to be recorded as unacknowledged, otherwise 0.
    recorded: list[int]


def claim_prefix(
    lists: Sequence[str], unacked_keys: Sequence[str], recorded: list[int]
) -> ClaimPrefix:
    """Returns the first part of a claim, the Redis command that takes tasks from ``lists``.

    ``unacked_keys`` are the keys of kombu's hash and index of unacknowledged tasks. ``recorded``
    has 1 for each list whose tasks are to be recorded as unacknowledged, and 0 for the others.
    """
    keys = [*lists, *unacked_keys]
    return ClaimPrefix(["EVAL", CLAIM_SCRIPT, len(keys), *keys], recorded)


def claim_command(prefix: ClaimPrefix, max_tasks: int, tags: Sequence[str | bytes]) -> list[Any]:
    """Returns a claim, the Redis command that takes up to ``max_tasks`` tasks.

    The claim also acknowledges the tasks that have the delivery tags ``tags``.
    """
    return [*prefix.command, time(), max_tasks, *prefix.recorded, *tags]


def first_list(claim: Sequence[Any]) -> str:
    """Returns the first of the Redis lists that a claim takes tasks from."""
    return str(claim[3])


class ClaimedTask(NamedTuple):
    """A task that a claim took, with its list and its delivery tag."""

    #: Name of the Redis list.
    name: bytes
    task: bytes
    #: Delivery tag under which the task is recorded; empty if the task is not recorded.
    tag: bytes


def claimed_tasks(response: Sequence[bytes]) -> list[ClaimedTask]:
    """Returns the tasks in the response to a claim, the command that takes tasks."""
    columns = zip(response[::3], response[1::3], response[2::3], strict=True)
    return [ClaimedTask(*columns) for columns in columns]


class PriorityOrder:
    """Decides in which order a worker takes tasks of different priorities."""

    def __init__(self) -> None:
        #: Number of claims in a row that left tasks in the lists.
        self._left_behind = 0

    def record(self, left_behind: bool) -> None:
        """Records whether the worker's last claim left tasks in the lists."""
        self._left_behind = self._left_behind + 1 if left_behind else 0

    def steps(self, all_steps: Sequence[int], first_only: bool) -> list[int]:
        """Returns the priorities in the order in which the next claim takes tasks.

        ``all_steps`` are all priorities, the most urgent first. If ``first_only`` is True, the
        returned list has only the most urgent priority.
        """
        first, *others = all_steps
        if first_only:
            return [first]
        turn, rest = divmod(self._left_behind, LATER_FIRST)
        if rest < LATER_FIRST - 1:
            return [first, *others]
        later = others[turn % len(others)]
        return [later, first, *(step for step in others if step != later)]
