# The api, without torch: it imports only types of the model.
FROM python:3.11.15-slim-bookworm AS build
# 1 installs the packages that BYLINE_TRACING=on needs.
ARG OTEL=
WORKDIR /src
COPY compose/install.sh compose/install.sh
COPY requirements/api.lock requirements/otel.lock requirements/
RUN OTEL="$OTEL" sh compose/install.sh api
WORKDIR /opt/byline/app
COPY alerting/runbooks alerting/runbooks
COPY api api
COPY celery_app celery_app
COPY compose/__init__.py compose/probe.py compose/
COPY model/__init__.py model/canonical.py model/types.py model/
COPY model/training/__init__.py model/training/errors.py model/training/
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
EXPOSE 8000 9806
ENTRYPOINT ["python", "-m", "api"]
