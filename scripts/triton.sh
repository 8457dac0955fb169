#!/usr/bin/env bash
# A real Triton without a container: the CPU server that PyPI's nvidia-pytriton wheel carries,
# and ONNX Runtime, both pinned (scripts/triton/*.txt), under .cache/triton/.
#
#   scripts/triton.sh fetch         install what is missing; milliseconds when nothing is
#   scripts/triton.sh supported     exit 0 where this machine can run Triton, else 1 and why
#   scripts/triton.sh serve [--grpc-port P] [--http-port P] [--metrics-port P]
#                           [--repository DIR] [--config-name NAME] [-- ARGS]
#                                   become tritonserver, in the foreground; ARGS go to it as they are
#   scripts/triton.sh onnxruntime   print the path of libonnxruntime (any platform with a wheel)
#
# PYTHON names the interpreter to use (default: python3.11, then python3.12).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PINS=$ROOT/scripts/triton
HOME_DIR=$ROOT/.cache/triton
VENV=$HOME_DIR/venv
WHEELS=$HOME_DIR/wheels
SERVER=$HOME_DIR/server
BACKENDS=$HOME_DIR/backends
STAMP=$HOME_DIR/stamp

say() { printf 'triton: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Why Triton cannot run on this machine, in one sentence; nothing where it can.
unsupported() {
  local glibc
  [ "$(uname -s)" = Linux ] && [ "$(uname -m)" = x86_64 ] || {
    echo "this Triton is built for x86-64 Linux and this machine is $(uname -sm); the in-process models still answer"
    return
  }
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
  case $glibc in "glibc "*) ;; *) echo "this Triton needs glibc 2.35 or newer and this system's C library is another one"; return ;; esac
  glibc=${glibc#glibc }
  [ "$(printf '2.35\n%s\n' "$glibc" | sort -V | head -n 1)" = 2.35 ] ||
    echo "this Triton needs glibc 2.35 or newer and this system has $glibc (Debian 12 and Ubuntu 22.04 are new enough)"
}

# The interpreter to build the venv with: numpy 1.26 and ONNX Runtime 1.32 both have wheels for 3.11 and 3.12 alone.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "no Python 3.11 or 3.12 found: install python3.11, or set PYTHON to one"
}

# What the installed parts were built from; another value means that fetch has work to do.
wanted_stamp() {
  cat "${BASH_SOURCE[0]}" "$PINS"/*.txt | cksum
}

fetched() { [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(wanted_stamp)" ]; }

# download FILE.txt: its pinned wheels into $WHEELS. What is there already is not fetched again, and a
# connection that breaks is resumed where it broke.
download() {
  "$VENV/bin/python" -m pip download --no-deps --require-hashes --only-binary=:all: --resume-retries 10 \
    --find-links "$WHEELS" --dest "$WHEELS" -r "$PINS/$1" >&2 ||
    die "pip could not fetch the wheels that scripts/triton/$1 pins: its message is above; run the same command again to go on"
}

install() {
  "$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes --no-index --find-links "$WHEELS" -r "$PINS/$1" >&2 ||
    die "pip could not install scripts/triton/$1 (its message is above)"
}

build_venv() {
  local python
  python=$(find_python)
  say "[1/4] Python environment ($("$python" --version 2>&1))"
  rm -rf "$VENV"
  "$python" -m venv "$VENV" >&2 || die "$python cannot make a virtual environment: install its venv package (Debian: python3.11-venv)"
  "$VENV/bin/python" -m pip install --quiet --require-hashes -r "$PINS/pip.txt" >&2 ||
    die "pip could not upgrade itself (its message is above): is the package index reachable?"
}

build_onnxruntime() {
  say "[2/4] ONNX Runtime and numpy, about 46 MB"
  mkdir -p "$WHEELS"
  download onnxruntime.txt
  install onnxruntime.txt
}

build_server() {
  local version stub missing
  say "[3/4] Triton, about 55 MB"
  download server.txt
  say "[4/4] unpacking Triton"
  rm -rf "$SERVER" "$BACKENDS"
  mkdir -p "$SERVER"
  "$VENV/bin/python" "$PINS/unpack.py" "$WHEELS"/nvidia_pytriton-*.whl "$SERVER"
  version=$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  stub=$SERVER/pytriton/tritonserver/python_backend_stubs/$version/triton_python_backend_stub
  mkdir -p "$BACKENDS"
  cp -R "$SERVER/pytriton/tritonserver/backends/python" "$BACKENDS/python"
  cp "$stub" "$BACKENDS/python/triton_python_backend_stub"
  ln -s "$PINS/backends/onnxruntime" "$BACKENDS/onnxruntime"
  missing=$(LD_LIBRARY_PATH=$(library_path) ldd "$BACKENDS/python/triton_python_backend_stub" | grep 'not found' || true)
  [ -z "$missing" ] ||
    die "Triton's Python stub lacks a shared library (${missing//[[:space:]]/ }): on Debian, apt-get install libpython$version"
}

# The wheel's own libraries, then those of the interpreter that the venv was made from (libpython).
library_path() {
  local libpython
  libpython=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR") or "")')
  echo "$SERVER/nvidia_pytriton.libs${libpython:+:$libpython}"
}

fetch() {
  local why
  fetched && return
  mkdir -p "$HOME_DIR"
  if command -v flock >/dev/null; then
    exec 9>"$HOME_DIR/lock"
    flock -n 9 || { say "another fetch is under way: waiting for it"; flock 9; }
    fetched && return
  fi
  rm -f "$STAMP"
  build_venv
  build_onnxruntime
  why=$(unsupported)
  if [ -n "$why" ]; then say "$why"; else build_server; fi
  wanted_stamp >"$STAMP"
  say "ready in .cache/triton"
}

supported() {
  local why
  why=$(unsupported)
  [ -z "$why" ] || die "$why"
}

onnxruntime() {
  local library
  for library in "$VENV"/lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime.{so.*,*.dylib}; do
    if [ -f "$library" ]; then echo "$library"; return; fi
  done
  die "ONNX Runtime is not here yet: run scripts/triton.sh fetch"
}

serve() {
  local grpc=8001 http=8000 metrics=8002 repository=$ROOT/model_repository config=cpu
  while [ $# -gt 0 ]; do
    case $1 in
      --grpc-port) grpc=${2:?} && shift 2 ;;
      --http-port) http=${2:?} && shift 2 ;;
      --metrics-port) metrics=${2:?} && shift 2 ;;
      --repository) repository=${2:?} && shift 2 ;;
      --config-name) config=${2:?} && shift 2 ;;
      --) shift && break ;;
      *) die "serve does not know $1: what tritonserver itself takes comes after --" ;;
    esac
  done
  supported
  [ -x "$BACKENDS/python/triton_python_backend_stub" ] || die "Triton is not here yet: run scripts/triton.sh fetch"
  [ -d "$repository" ] || die "there is no model repository at $repository"
  export LD_LIBRARY_PATH=$(library_path)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export PATH=$VENV/bin:$PATH PYTHONNOUSERSITE=1
  exec "$SERVER/pytriton/tritonserver/bin/tritonserver" \
    --backend-directory "$BACKENDS" --model-repository "$repository" --model-config-name "$config" \
    --grpc-address 127.0.0.1 --grpc-port "$grpc" --http-address 127.0.0.1 --http-port "$http" \
    --metrics-address 127.0.0.1 --metrics-port "$metrics" --allow-gpu-metrics=false "$@"
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
  fetch) fetch ;;
  supported) supported ;;
  serve) serve "$@" ;;
  onnxruntime) onnxruntime ;;
  *) die "say one of: fetch, supported, serve, onnxruntime (the top of this script explains them)" ;;
esac
