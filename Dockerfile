# One image for every role: docker run IMAGE run scorer
FROM python:3.12-slim AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
# The scorer's inner loop is compiled here; without a compiler it would run in Python.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
# Dependencies first: this layer stays cached until the lock file changes.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY models ./models
COPY pipeline ./pipeline
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home cardwatch \
    && install --directory --owner=cardwatch --mode=0700 /var/lib/cardwatch /var/lib/cardwatch/archive
# The environment keeps its path: its scripts name the interpreter by it.
COPY --from=build /src/.venv /src/.venv
WORKDIR /app
COPY config ./config
# Inside a container, loopback would be out of Prometheus's reach; compose.yaml publishes none of these ports.
ENV PATH=/src/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CARDWATCH_CONFIG_DIR=/app/config \
    CARDWATCH_ARCHIVE_DIR=/var/lib/cardwatch/archive \
    CARDWATCH_METRICS_HOST=0.0.0.0 \
    CARDWATCH_METRICS_PORT=9120 \
    CARDWATCH_LOG_FORMAT=json
USER cardwatch
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['CARDWATCH_METRICS_PORT'] + '/healthz', timeout=2)"]
ENTRYPOINT ["cardwatch"]
CMD ["run", "scorer"]
