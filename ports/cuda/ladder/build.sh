#!/bin/sh
# Builds and checks a rung: build.sh RUNG INCLUDE BUILD PYTHON. For GPUs: code for sm_90, and PTX from
# which a driver makes code for any other from sm_75 on. As code for the host. And the same with a call
# before each access to memory, for the check. Prints one line.
set -e
include=$2 build=$3
rung="-include ladder/$1.cuh ladder/contract.cu"
"$4" nvcc.py -std=c++20 -O3 -arch=compute_75 -code=sm_90,compute_75 \
    -Xcompiler -fPIC,-Wall,-Wextra -shared "-I$include" $rung -o "$build/libbackprop.so" \
    >"$build/compiled.txt" &
compiling=$!

# Not unique, and so not shared: a process may load several emulated rungs.
host="g++ -std=c++20 -U_FORTIFY_SOURCE -Wall -Wextra -fPIC -fno-threadsafe-statics -fno-gnu-unique -I$include"
# In place of cuBLAS, a stand-in of the same name that lies beside the library.
beside='-Wl,-rpath,$ORIGIN -Wl,--disable-new-dtags'
[ "$1" != cublas ] ||
    $host -O2 -shared ladder/cublas_stand_in.cpp -o "$build/libcublas.so.13"
$host -O2 -shared -x c++ -include emulate.h $rung $beside -o "$build/libemulated.so"
$host -O1 -fsanitize=thread -x c++ -include emulate.h $rung -c -o "$build/watched.o"
$host -O1 ladder/check.cpp watch.cpp "$build/watched.o" $beside -o "$build/check"
checked=$("$build/check")
wait $compiling
echo "$(cat "$build/compiled.txt"); emulated: $checked"
