# Two images: `service` (backend, dashboard; no torch) and `worker` (torch, for machines with GPUs).
FROM python:3.11-slim AS service
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 MEMGEN_HOME=/data/memgen
WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
COPY memgen memgen
COPY backend backend
COPY worker worker
COPY dashboard dashboard
RUN pip install --constraint constraints.txt --editable '.[service]' \
 && useradd --create-home --uid 1000 memgen \
 && install --directory --mode 700 --owner memgen --group memgen /data/memgen
USER memgen

FROM service AS worker
USER root
RUN pip install --constraint constraints.txt --editable '.[service,worker]'
USER memgen
