"""Makes an instance of a model class, and checks the instance. The weights are loaded later."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from model.serving.model_checks import check_model
from model.serving.output_checks import one_line
from model.types import Model, ModelRefused, SequenceModel

AnyModel = Model[Any] | SequenceModel


def create(name: str, directory: Path | None = None) -> AnyModel:
    """Returns an instance of the model class ``name``, which is ``package.module:Class``.

    The class gets the folder of its weights and card as the argument ``directory``. If
    ``directory`` is None, the class gets no argument.

    Raises:
        ModelRefused: the class does not exist, can't be instantiated, or breaks the protocol.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ModelRefused(f"{name!r} names no class: write package.module:Class")
    arguments = {} if directory is None else {"directory": directory}
    try:
        model: AnyModel = getattr(import_module(module), attribute)(**arguments)
    except Exception as error:  # A user's module may raise anything.
        raise ModelRefused(_reason(error, module)) from error
    check_model(model)
    return model


def _reason(error: Exception, module: str) -> str:
    """Returns one line that says why the model class can't be used.

    If the first package of ``module`` is missing, the line also says what to do.
    """
    if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
        return f"there is no module {error.name!r}; put its folder into PYTHONPATH"
    # The texts of these errors are clear without the error's type.
    known = ImportError | AttributeError | TypeError | OSError | ValueError | SyntaxError
    if isinstance(error, known) and str(error):
        return one_line(error)
    return f"{type(error).__name__}: {one_line(error)}"
