# Flower, with Byline's Celery app, which knows where the tasks are that workers hold.
FROM python:3.11.15-slim-bookworm AS build
WORKDIR /src
COPY compose/install.sh compose/install.sh
COPY requirements/flower.lock requirements/flower.lock
RUN sh compose/install.sh flower
WORKDIR /opt/byline/app
COPY celery_app celery_app
COPY compose/__init__.py compose/probe.py compose/
COPY model/__init__.py model/canonical.py model/types.py model/
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
EXPOSE 5555
# Flower's password comes from a file that compose names.
ENTRYPOINT ["sh", "-c", "FLOWER_BASIC_AUTH=\"byline:$(cat \"$FLOWER_PASSWORD_FILE\")\" exec celery -A celery_app flower --address=0.0.0.0 --port=5555 --max-tasks=1000 --logging=error"]
