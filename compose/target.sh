# Sourced in the Dockerfile's builder: what is built for, when that is another processor.
# In: TARGETARCH, BUILDARCH, LLAMA_X86, LLAMA_ARM. Out: $platform for uv, and the environment in
# which llama.cpp's sources are compiled.
platform=
define=GGML_NATIVE=OFF
case "$TARGETARCH" in
  amd64) machine=x86_64; define="$define;$LLAMA_X86" ;;
  arm64) machine=aarch64; define="$define;$LLAMA_ARM" ;;
  *) echo "no images are made for $TARGETARCH" >&2; exit 1 ;;
esac
triplet=
if [ "$TARGETARCH" != "$BUILDARCH" ]; then
  # Debian 12's C library; a wheel for a newer one must not be taken.
  platform="--python-platform ${machine}-manylinux_2_36"
  triplet=$machine-linux-gnu-
  define="$define;CMAKE_SYSTEM_NAME=Linux;CMAKE_SYSTEM_PROCESSOR=$machine"
  define="$define;CMAKE_C_COMPILER=${triplet}gcc;CMAKE_CXX_COMPILER=${triplet}g++"
  # What the wheel that is built is called after.
  export _PYTHON_HOST_PLATFORM="linux-$machine"
fi
export SKBUILD_CMAKE_DEFINE="$define"
# A wheel built here counts for this processor alone.
export UV_CACHE_DIR="/root/.cache/uv/$TARGETARCH"

# llama.cpp's libraries look for libgomp beside themselves, and the slim base image has none.
keep_openmp() {
  for folder in /opt/parlour/lib/python3*/site-packages/llama_cpp/lib; do
    if [ -d "$folder" ]; then
      cp -L "$("${triplet}gcc" -print-file-name=libgomp.so.1)" "$folder/"
    fi
  done
}
