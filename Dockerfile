# One image for every command of walletwatch; docker-compose.yml shows them at work.
# It runs as nobody in particular, and writes nowhere: give it a volume for files it shall keep.

FROM python:3.13.9-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/walletwatch
COPY requirements/runtime.txt requirements/
RUN /opt/walletwatch/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY rules rules
COPY worker worker
RUN /opt/walletwatch/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13.9-slim-bookworm
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
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/livez', timeout=2)"]
ENTRYPOINT ["walletwatch"]
CMD ["run"]
