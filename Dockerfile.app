# The demo app. Build from the repository's root:
#   docker build -f Dockerfile.app -t selfhealing-demo-app .
# BASE is any image with python3, venv and pip, best named by its digest (NAME@sha256:DIGEST), as a
# tag can move; where no registry can be reached, one is made locally from Debian
# (docs/local-cluster.md).
ARG BASE=python:3.11-slim

FROM ${BASE} AS packages
# The address of a package index other than pip's own; empty where pip's settings will do.
ARG PIP_INDEX_URL
COPY requirements/app.txt /tmp/requirements.txt
# Only wheels, only those whose hashes are in the file: nothing of a package runs while it installs.
# There is no pip in the environment, since nothing may be installed into a running container.
# Why two builds have the same layers: Dockerfile.operator.
ARG SOURCE_DATE_EPOCH=315532800
RUN python3 -m venv --without-pip /opt/venv \
 && python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile \
    --disable-pip-version-check --only-binary=:all: --require-hashes -r /tmp/requirements.txt \
 && PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib \
 && mkdir -p /image/opt && mv /opt/venv /image/opt/ \
 && chmod -R u=rwX,go=rX /image && find /image -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE} AS code
COPY app /image/srv/app
ARG SOURCE_DATE_EPOCH=315532800
RUN PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash -s /image -p / \
    /image/srv/app \
 && chmod -R u=rwX,go=rX /image && find /image -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +

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
COPY --from=packages /image /
COPY --from=code /image /
WORKDIR /srv
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 5000
# No shell in between: PID 1 is the app, which handles SIGTERM itself. No HEALTHCHECK: the kubelet
# asks, with httpGet or `python -m app.check http://127.0.0.1:5000/health`.
CMD ["python", "-m", "app"]
