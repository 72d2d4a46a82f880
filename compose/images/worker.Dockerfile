# A worker with torch and the models that come with Byline. Your own models are mounted.
FROM python:3.11.15-slim-bookworm AS build
# PyTorch's index of CPU builds; empty for the usual index, whose CUDA builds are gigabytes larger.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# 1 installs the packages that BYLINE_MODEL=transformer needs.
ARG TRANSFORMER=
# 1 installs the packages that BYLINE_MODEL=huggingface needs.
ARG HUGGINGFACE=
# 1 installs the packages that BYLINE_TRACING=on needs.
ARG OTEL=
WORKDIR /src
COPY compose/install.sh compose/install.sh
COPY requirements/worker.lock requirements/transformer.lock requirements/huggingface.lock requirements/otel.lock \
    requirements/
RUN TORCH_INDEX="$TORCH_INDEX" TRANSFORMER="$TRANSFORMER" HUGGINGFACE="$HUGGINGFACE" OTEL="$OTEL" \
    sh compose/install.sh worker
WORKDIR /opt/byline/app
COPY celery_app celery_app
COPY compose/__init__.py compose/probe.py compose/
COPY model model
COPY monitoring monitoring
COPY tasks tasks
# Compiled here, because the container's file system is read-only.
RUN /opt/byline/bin/python -m compileall -q .

FROM python:3.11.15-slim-bookworm
RUN useradd --no-log-init --uid 10001 --no-create-home --shell /usr/sbin/nologin byline
COPY --from=build /opt/byline /opt/byline
WORKDIR /opt/byline/app
ENV PATH=/opt/byline/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 9809
ENTRYPOINT ["python", "-m", "celery_app.worker"]
