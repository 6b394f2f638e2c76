# The demo app. Build from the repository's root:
#   docker build -f Dockerfile.app -t selfhealing-demo-app .
# BASE is any image with python3, venv and pip, best named by its digest (NAME@sha256:DIGEST), as a
# tag can move; where no registry can be reached, one is made locally from Debian
# (docs/local-cluster.md).
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# The address of a package index other than pip's own; empty where pip's settings will do.
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/app.txt /tmp/app.txt
# Only wheels, only those whose hashes are in the file: nothing of a package runs while it installs.
# pip then goes, since nothing may be installed into a running container.
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --require-hashes --only-binary=:all: -r /tmp/app.txt \
 && /opt/venv/bin/python -m pip uninstall -q -y setuptools wheel pip
COPY app /srv/app
# Compiled here because the root file system is read-only later; by hash, so that no copying of
# layers, which may touch the times of files, makes it void.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /srv/app

FROM ${BASE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="selfhealing-demo-app" \
      org.opencontainers.image.description="Web app with switches for faults, for demonstrations" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PROMETHEUS_DISABLE_CREATED_SERIES=true
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/app /srv/app
WORKDIR /srv
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 5000
# No shell in between: PID 1 is the app, which handles SIGTERM itself. No HEALTHCHECK: the kubelet
# asks, with httpGet or `python -m app.check http://127.0.0.1:5000/health`.
CMD ["python", "-m", "app"]
