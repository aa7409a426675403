#!/usr/bin/env bash
# Puts what `--features cuda` needs to be built into a folder, from Python wheels: no GPU, driver or CUDA installation is
# needed for that. Usage: source docs/cuda-toolchain.sh FOLDER
folder="$(mkdir -p "$1" && cd "$1" && pwd)"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'nvidia-cuda-nvcc==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-crt==13.0.*' \
    'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cccl==13.0.*' 'nvidia-cublas==13.0.*' 'nvidia-cuda-nvrtc==13.0.*' \
    'nvidia-curand==10.4.*'
CUDA_HOME="$(echo "$folder"/venv/lib/python3*/site-packages/nvidia/cu13)"
export CUDA_HOME
# The wheels leave out the names that linkers look for.
ln -sfn lib "$CUDA_HOME/lib64"
for library in cublas cublasLt cudart curand nvrtc; do
    ln -sfn "$(basename "$CUDA_HOME/lib/lib$library".so.*)" "$CUDA_HOME/lib/lib$library.so"
done
# In place of the driver's library, which comes with a GPU: every function says that there is no device (100).
mkdir -p "$folder/stub"
cargo fetch --quiet
cat "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/cudarc-*/src/driver/sys/mod.rs | grep -oE 'pub unsafe fn cu[A-Z][A-Za-z0-9_]*' |
    sort -u | sed 's/pub unsafe fn \(.*\)/int \1(void) { return 100; }/' >"$folder/stub/cuda.c"
cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$folder/stub/libcuda.so.1" "$folder/stub/cuda.c"
ln -sfn libcuda.so.1 "$folder/stub/libcuda.so"
export PATH="$CUDA_HOME/bin:$PATH" LIBRARY_PATH="$folder/stub"
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
# To start the program; on a machine with a GPU its own libcuda.so.1 comes first.
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$CUDA_HOME/lib:/usr/lib/x86_64-linux-gnu:$folder/stub"
