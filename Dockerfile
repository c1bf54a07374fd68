# One file for every process:
#   docker build --build-arg SERVICE=parlour-router --build-arg FOLDER=services/router .
# SERVICE is the package, FOLDER where it lies. compose.yaml says it for all of them.
#
# The builder runs on the machine that builds, whatever it builds for, and the last stage runs
# nothing at all: an image for another processor needs no emulator, and llama.cpp is compiled
# across. BUILD_BASE is BASE for the building machine, where one name does not stand for both.
ARG BASE=python:3.11-slim-bookworm
ARG BUILD_BASE=${BASE}

FROM --platform=${BUILDPLATFORM} ${BUILD_BASE} AS builder
ARG UV_VERSION=0.13.9
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_DEV=1 UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/parlour
RUN python3 -m venv /uv && /uv/bin/pip install uv==${UV_VERSION}

# What the last stage has beside the programs: a user, and folders that new volumes copy their
# owner from.
RUN mkdir -p /rootfs/etc && cp /etc/passwd /etc/group /rootfs/etc/ \
 && echo 'parlour:x:1000:1000::/data:/usr/sbin/nologin' >>/rootfs/etc/passwd \
 && echo 'parlour:x:1000:' >>/rootfs/etc/group \
 && cd /rootfs && install -d -m 0700 -o 1000 -g 1000 login backup keys data data/broker \
      data/ca data/cache data/config data/keys data/models data/secrets data/secrets/mqtt \
      data/store data/logins \
 && for process in config-manager router stt-worker llm-worker tts-worker stt-worker-2 llm-worker-2; do \
      install -d -m 0700 -o 1000 -g 1000 "keys/$process" "data/logins/$process"; \
    done \
 && install -d -m 0700 -o 1000 -g 1000 keys/satellite

ARG SERVICE
ARG EXTRA
ARG BUILDARCH
ARG TARGETARCH
# Building across, CMake is Debian's: uv would bring the one of the other processor.
RUN if [ "$SERVICE" = parlour-llm-worker ]; then \
      case "$TARGETARCH" in \
        "$BUILDARCH") tools="g++ make" ;; \
        arm64) tools="g++-aarch64-linux-gnu cmake ninja-build" ;; \
        amd64) tools="g++-x86-64-linux-gnu cmake ninja-build" ;; \
      esac; \
      apt-get update && apt-get install -y --no-install-recommends $tools \
      && rm -rf /var/lib/apt/lists/*; \
    fi

# llama.cpp comes as source. It is built for a family of processors, never for the one that
# builds it: 64-bit Arm from the Raspberry Pi 3 on, x86-64 with AVX2 (2013 on). For an older
# x86-64 processor: --build-arg LLAMA_X86="GGML_AVX=OFF;GGML_AVX2=OFF;GGML_FMA=OFF;GGML_F16C=OFF;GGML_BMI2=OFF"
ARG LLAMA_X86="GGML_AVX2=ON;GGML_FMA=ON;GGML_F16C=ON"
ARG LLAMA_ARM="GGML_CPU_ARM_ARCH=armv8-a"
COPY compose/target.sh /target.sh

# What changes rarely first: everything from the lock but Parlour's own packages.
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    . /target.sh \
 && /uv/bin/uv sync --frozen --package "$SERVICE" ${EXTRA:+--extra $EXTRA} --no-install-workspace \
      --python python3 $platform \
 && keep_openmp

ARG FOLDER
COPY libs libs
COPY ${FOLDER} ${FOLDER}
RUN --mount=type=cache,target=/root/.cache/uv \
    . /target.sh \
 && /uv/bin/uv sync --frozen --package "$SERVICE" ${EXTRA:+--extra $EXTRA} --no-editable \
      --python python3 $platform \
 && module=$(basename "$FOLDER" | tr - _) \
 && printf '#!/bin/sh\nexec /opt/parlour/bin/python -P -m %s "$@"\n' "$module" >/opt/parlour/bin/process \
 && chmod 755 /opt/parlour/bin/process

FROM ${BASE}
COPY --from=builder /rootfs/ /
COPY --from=builder /opt/parlour /opt/parlour
ENV PATH=/opt/parlour/bin:$PATH HOME=/data DATA_DIR=/data LOG_FORMAT=json \
    PROBE_HOST=0.0.0.0 PROBE_PORT=8081 \
    ORT_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /data
# Healthy: the process's main loop turns. One that has gone deaf ends itself.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
  CMD ["python", "-ISc", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8081, timeout=5); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["process"]
