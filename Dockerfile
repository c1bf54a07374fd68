# One file for every process:
#   docker build --build-arg SERVICE=parlour-router --build-arg FOLDER=services/router .
# SERVICE is the package, FOLDER where it lies. compose.yaml says it for all of them.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
ARG UV_VERSION=0.13.9
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_DEV=1 UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/parlour
RUN python3 -m venv /uv && /uv/bin/pip install uv==${UV_VERSION}

ARG SERVICE
# llama.cpp comes as source. It is built for a family of processors, never for the one that
# builds it: 64-bit Arm from the Raspberry Pi 3 on, x86-64 with AVX2 (2013 on). For an older
# x86-64 processor: --build-arg LLAMA_X86="GGML_AVX=OFF;GGML_AVX2=OFF;GGML_FMA=OFF;GGML_F16C=OFF;GGML_BMI2=OFF"
ARG LLAMA_X86="GGML_AVX2=ON;GGML_FMA=ON;GGML_F16C=ON"
ARG LLAMA_ARM="GGML_CPU_ARM_ARCH=armv8-a"
RUN if [ "$SERVICE" = parlour-llm-worker ]; then \
      apt-get update && apt-get install -y --no-install-recommends g++ make && rm -rf /var/lib/apt/lists/*; \
    fi

# What changes rarely first: everything from the lock but Parlour's own packages.
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    case "$(uname -m)" in x86_64) arch="$LLAMA_X86" ;; aarch64) arch="$LLAMA_ARM" ;; esac; \
    export SKBUILD_CMAKE_DEFINE="GGML_NATIVE=OFF;$arch"; \
    /uv/bin/uv sync --frozen --package "$SERVICE" --no-install-workspace --python python3

ARG FOLDER
COPY libs libs
COPY ${FOLDER} ${FOLDER}
RUN --mount=type=cache,target=/root/.cache/uv \
    /uv/bin/uv sync --frozen --package "$SERVICE" --no-editable --python python3 \
 && module=$(basename "$FOLDER" | tr - _) \
 && printf '#!/bin/sh\nexec /opt/parlour/bin/python -P -m %s "$@"\n' "$module" >/opt/parlour/bin/process \
 && chmod 755 /opt/parlour/bin/process

FROM ${BASE}
ARG SERVICE
RUN if [ "$SERVICE" = parlour-llm-worker ]; then \
      apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*; \
    fi \
 && groupadd --gid 1000 parlour && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /data parlour \
 && install -d -m 0700 -o parlour -g parlour /data /data/models /data/cache /data/config \
      /data/secrets /data/secrets/mqtt /data/keys \
      /keys /keys/stt-worker /keys/router /keys/llm-worker /keys/tts-worker
COPY --from=builder /opt/parlour /opt/parlour
ENV PATH=/opt/parlour/bin:$PATH DATA_DIR=/data LOG_FORMAT=json \
    ORT_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /data
# Healthy: the process holds a connection to its broker. One that has gone deaf ends itself.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
  CMD ["python", "-c", "import psutil, sys; sys.exit(not any(c.status == 'ESTABLISHED' for p in psutil.process_iter() for c in p.net_connections('tcp')))"]
CMD ["process"]
