# One image for every command of walletwatch; docker-compose.yml shows them at work.
# It runs as an unprivileged user and writes nowhere: mount a volume for files that it must keep. A new
# volume at /var/lib/walletwatch belongs to that user alone.

ARG PYTHON_IMAGE=python:3.13.9-slim-bookworm@sha256:b685a4fa58bb19d1814d78a1ec0f0208f351452724f78b20212c984d6e124a34

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python -m venv tools && python -m venv --without-pip /opt/walletwatch
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN tools/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && tools/bin/pip --python /opt/walletwatch install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY rules rules
COPY worker worker
COPY walletwatch walletwatch
RUN tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && tools/bin/pip --python /opt/walletwatch install --no-cache-dir --no-deps --no-index dist/*.whl

FROM ${PYTHON_IMAGE}
# Nothing is installed after the build.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/site-packages/pip* \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/walletwatch
COPY --from=build /opt/walletwatch /opt/walletwatch
ENV PATH=/opt/walletwatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WALLETWATCH_METRICS__HOST=0.0.0.0 \
    WALLETWATCH_METRICS__PORT=9464
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/livez', timeout=5)"]
ENTRYPOINT ["walletwatch"]
CMD ["run"]
