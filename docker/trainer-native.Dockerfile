# The trainer with the native engine, slim and without R, for amd64 and arm64. From the root of the project:
#   docker build -f docker/trainer-native.Dockerfile --build-arg REVISION="$(git rev-parse HEAD)" -t trainer-native .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG TARGETARCH

# The CPU that machine code is made for: on amd64 any with AVX2 (Intel since 2013, AMD since 2015, all of Cloud
# Run's), on arm64 any ARMv8-A.
FROM ${PYTHON_IMAGE} AS cpu-amd64
ENV NUMBA_CPU_NAME=x86-64-v3

FROM ${PYTHON_IMAGE} AS cpu-arm64
ENV NUMBA_CPU_NAME=generic

# hadolint ignore=DL3006
FROM cpu-${TARGETARCH} AS base
ENV NUMBA_CPU_FEATURES="" \
    NUMBA_CACHE_DIR=/app/.numba \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /app

FROM base AS build
# `trainer`, or `local` for the whole system on one machine (compose.yaml)
ARG REQUIREMENTS=trainer
COPY requirements/${REQUIREMENTS}.txt /tmp/requirements.txt
# The packages' own tests and pip stay behind; of byte code, the self-test leaves what is used.
RUN python3 -m venv /opt/venv \
    && pip install --no-cache-dir --no-compile --require-hashes --requirement /tmp/requirements.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && pip uninstall --yes pip
COPY contracts contracts
COPY functions functions
COPY trainer trainer
COPY infra infra
COPY client/mmm mmm
# numba compares times of source files, and a registry's layers keep whole seconds only.
RUN find . -type f -exec touch --date=@946684800 {} + \
    && python -m trainer --check

FROM base
ARG REVISION=unknown
LABEL org.opencontainers.image.title="MMM trainer, native engine" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
# for names in Chinese, Japanese and Korean, which matplotlib's own font lacks
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-droid-fallback \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --no-create-home --uid 10001 mmm \
    && install --directory --owner mmm /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
USER 10001
RUN python -m trainer --check
ENTRYPOINT ["python", "-m", "trainer"]
