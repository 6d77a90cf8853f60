#!/bin/sh
# Builds a rung for the 3-4-1 network: build.sh RUNG INCLUDE BUILD [COMPILER]. What it computes is
# compiled for each processor that the library may meet, and for each dtype that it has; contract.c,
# or ensemble_contract.c, chooses when it runs.
set -e
rung=$1 build=$3 compiler=${4:-gcc}
flags="-std=gnu11 -O3 -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi -I$2 -fPIC -pthread"
avx2="-mavx2 -mfma"
avx512="$avx2 -mavx512f -mavx512vl -mavx512dq -mprefer-vector-width=256"
compiled() { # NAME FLAGS
    case $rung in
    ensemble)
        for bits in 64 32; do
            $compiler $flags $2 -DBITS=$bits -DTRAIN="train_$1_f$bits" -c ladder/ensemble.c \
                -o "$build/$rung-$1-$bits.o"
        done
        ;;
    *) $compiler $flags $2 -DUPDATES="updates_$1" -c "ladder/$rung.c" -o "$build/$rung-$1.o" ;;
    esac
}
compiled portable ""
if [ "$(uname -m)" = x86_64 ]; then
    compiled avx2 "$avx2"
    compiled avx512 "$avx512"
fi
if [ "$rung" = ensemble ]; then
    for bits in 64 32; do
        $compiler $flags -DBITS=$bits -c ladder/ensemble_contract.c -o "$build/contract-$bits.o"
    done
    $compiler $flags -shared "$build"/*.o -lm -o "$build/lib$rung.so"
else
    $compiler $flags -shared ladder/contract.c "$build/$rung"-*.o -lm -o "$build/lib$rung.so"
fi
