#!/bin/sh
# Makes .venv-bench: the chain that bench/voice.py compares Parlour with, from its own lock.
# uv is $UV, else .uv/bin/uv, else the one on PATH. Runs after `make setup`; twice is harmless.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
uv=${UV:-}
[ -n "$uv" ] || { [ -x .uv/bin/uv ] && uv=$root/.uv/bin/uv; } || uv=uv
[ -x .venv/bin/python ] || { echo "bench-peers: run \`make setup\` first" >&2; exit 1; }

[ -x .venv-bench/bin/python ] ||
  "$uv" venv --quiet --python "$root/.venv/bin/python" "$root/.venv-bench"
# llama.cpp takes minutes to build. The very same build is in .venv, and comparing with it is
# the fairest there is.
.venv/bin/python bench/peers/take_llama.py .venv-bench
UV_PROJECT_ENVIRONMENT=$root/.venv-bench "$uv" sync --quiet --frozen \
  --python "$root/.venv-bench/bin/python" --project bench/peers
echo "bench-peers: ready in .venv-bench"
