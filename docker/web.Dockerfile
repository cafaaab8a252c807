# The page, from the archive that the functions are deployed from. From the root of the project:
#   docker build -f docker/web.Dockerfile --build-arg REVISION="$(git rev-parse HEAD)" -t web .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS build
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /source
COPY requirements/functions.txt requirements/functions.txt
RUN python3 -m venv /opt/venv \
    && pip install --no-cache-dir --no-compile --require-hashes --requirement requirements/functions.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && pip uninstall --yes pip \
    && python -m compileall -q /opt/venv
COPY contracts contracts
COPY functions functions
COPY infra/__init__.py infra/archive.py infra/
RUN python -m infra.archive /tmp/functions.zip \
    && python -m zipfile --extract /tmp/functions.zip /app \
    && python -m compileall -q /app

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="MMM Trainer, the page" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
# gunicorn wants to write into the home of its user, who has none.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    PORT=8080
RUN useradd --no-create-home --uid 10001 mmm
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001
RUN python -c "import main, functions.web.app; main.web"
ENTRYPOINT ["functions-framework", "--target", "web"]
