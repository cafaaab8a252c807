# The trainer with both engines, for amd64; needs the image of trainer-base.Dockerfile. From the root of the project:
#   docker build -f docker/trainer.Dockerfile --build-arg REVISION="$(git rev-parse HEAD)" -t trainer .
ARG BASE_IMAGE=trainer-base:latest

FROM ${BASE_IMAGE} AS packages
COPY requirements/trainer.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-compile --require-hashes --requirement /tmp/requirements.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && pip uninstall --yes pip \
    && python -m compileall -q /opt/venv
# Any CPU with AVX2: Intel since 2013, AMD since 2015, all of Cloud Run's.
ENV NUMBA_CPU_NAME=x86-64-v3 \
    NUMBA_CPU_FEATURES="" \
    NUMBA_CACHE_DIR=/app/.numba \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache \
    PYTHONUNBUFFERED=1
WORKDIR /app

FROM packages AS build
COPY contracts contracts
COPY functions functions
COPY r r
COPY trainer trainer
# numba compares times of source files, and a registry's layers keep whole seconds only.
RUN find . -type f -exec touch --date=@946684800 {} + \
    && python -m trainer --check

FROM packages
ARG REVISION=unknown
LABEL org.opencontainers.image.title="MMM trainer, Robyn and native engine" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
RUN useradd --no-create-home --uid 10001 mmm
COPY --from=build /app /app
USER 10001
RUN python -m trainer --check && Rscript r/run.R --check
ENTRYPOINT ["python", "-m", "trainer"]
