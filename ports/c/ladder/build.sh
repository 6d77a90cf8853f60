#!/bin/sh
# Builds a rung for the 3-4-1 network: build.sh RUNG INCLUDE BUILD. Its updates are compiled for
# each processor that the library may meet; contract.c chooses when it runs.
set -e
rung=$1 build=$3
flags="-std=gnu11 -O3 -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi -I$2"
avx2="-mavx2 -mfma"
avx512="$avx2 -mavx512f -mavx512vl -mavx512dq -mprefer-vector-width=256"
compiled() { # NAME FLAGS
    gcc $flags $2 -fPIC -DUPDATES="updates_$1" -c "ladder/$rung.c" -o "$build/$rung-$1.o"
}
compiled portable ""
if [ "$(uname -m)" = x86_64 ]; then
    compiled avx2 "$avx2"
    compiled avx512 "$avx512"
fi
gcc $flags -fPIC -shared ladder/contract.c "$build/$rung"-*.o -lm -o "$build/lib$rung.so"
