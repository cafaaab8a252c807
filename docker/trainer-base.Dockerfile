# R with Robyn and the Python that Robyn calls: what of the trainer seldom changes. From the root of the project:
#   docker build -f docker/trainer-base.Dockerfile --build-arg REVISION="$(git rev-parse HEAD)" -t trainer-base .
#
# R_IMAGE brings R and, in its options, the repository of R packages of one day; SYSTEM_IMAGE is what R_IMAGE is
# made from.
ARG R_IMAGE=rocker/r-ver:4.5.1
ARG SYSTEM_IMAGE=ubuntu:24.04

FROM ${R_IMAGE} AS build
# The distribution's packages are those of the base image's release; it publishes no others under its name.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake libcurl4-openssl-dev libnlopt-dev libpython3-dev \
        libssl-dev libxml2-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
ARG ROBYN_VERSION=3.12.1
COPY docker/install_robyn.R /tmp/
RUN Rscript /tmp/install_robyn.R "${ROBYN_VERSION}"
COPY requirements/robyn.txt /tmp/requirements.txt
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes --requirement /tmp/requirements.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && /opt/venv/bin/python -m compileall -q /opt/venv
# Headers are for compilers. Then: which packages own the libraries that the rest is linked against, and the Python
# that R loads.
COPY docker/linked_packages.sh /tmp/
RUN find "$(R RHOME)" -type d \( -name include -o -name tests \) -prune -exec rm -rf {} + \
    && bash /tmp/linked_packages.sh "$(R RHOME)" /opt/venv /usr/lib/*/libpython3.*.so.1.0 > /linked-packages

FROM ${SYSTEM_IMAGE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="R, Robyn and nevergrad" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /linked-packages /tmp/
# hadolint ignore=DL3008
RUN apt-get update \
    && xargs --arg-file=/tmp/linked-packages \
        apt-get install --yes --no-install-recommends ca-certificates fonts-dejavu-core fonts-droid-fallback python3 tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/lib/R /usr/local/lib/R
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/lib/R/bin:$PATH \
    RETICULATE_PYTHON=/opt/venv/bin/python \
    RETICULATE_AUTOCONFIGURE=0 \
    LANG=C.UTF-8 \
    TZ=Etc/UTC \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1
RUN Rscript -e 'library(Robyn); stopifnot(reticulate::py_module_available("nevergrad"))' \
    && Rscript -e 'options(warn = 2); png("/dev/null"); plot(1)'
