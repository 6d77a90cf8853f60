#!/bin/sh
# Fuzzes a port through the C contract: fuzz.sh PORT SECONDS BUILD. PORT is c, cpp, cuda (as code
# for the host), d, fortran or rust, or a rung in C or CUDA C++, by its file: general, one_block. It
# begins with the corpus, which 0 seconds only run through. What it finds ends it and lies in BUILD.
# PORTS is the folder of other ports. New inputs are also in BUILD; to keep those that cover more:
#     BUILD/fuzz-c -merge=1 conformance/selftest/fuzz/corpus BUILD/new-c
set -e
port=$1 seconds=$2
case $seconds in '' | *[!0-9]*) echo "fuzz.sh: SECONDS=$seconds is not a whole number" >&2 && exit 2 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
ports=$(cd "${PORTS:-$here/../../../ports}" && pwd)
mkdir -p "$3/$port" "$3/new-$port"
build=$(cd "$3" && pwd)
objects=$build/$port
include=$here/../../contract
checks="-g -O1 -fno-sanitize-recover=undefined -pthread"
instrumented="$checks -fsanitize=fuzzer-no-link,address,undefined -I$include"
newer="" # which clang
guard="" # where arrays lie: see array.h
case $port in
c | general)
    source=$ports/c/backprop.c
    [ "$port" = c ] || source=$ports/c/ladder/general.c
    for bits in 64 32; do
        clang -std=gnu11 $instrumented -DBITS=$bits -c "$source" -o "$objects/$bits.o"
    done
    set -- "$objects/64.o" "$objects/32.o"
    ;;
fixed | simd | latency | ensemble)
    (cd "$ports/c" && sh ladder/build.sh "$port" "$include" "$objects" "clang $instrumented")
    set -- "$objects/lib$port.so"
    ;;
cpp)
    clang++ -std=c++20 $instrumented -isystem /usr/include/eigen3 -DEIGEN_FAST_MATH=0 \
        -c "$ports/cpp/backprop.cpp" -o "$objects/64.o"
    set -- "$objects/64.o"
    ;;
d | fortran | rust)
    # clang does not compile these: they are what their own commands build, without coverage.
    guard=-DGUARD_PAGES
    "${PYTHON:-python3}" "$here/build_port.py" "$ports/$port" "$include" "$objects"
    set -- "$objects/libbackprop.so"
    ;;
*)
    rung=$ports/cuda/ladder/$port.cuh
    [ "$port" = cuda ] || [ -e "$rung" ] || { echo "fuzz.sh: no port $port" >&2 && exit 2; }
    [ "$port" = cuda ] && set -- backprop.cu || set -- -include "$rung" ladder/contract.cu
    # On Debian 12, the one that knows C++20's source_location has a number.
    ! command -v clang++-16 >/dev/null || newer=-16
    # AddressSanitizer watches the emulation's arrays, which otherwise have margins of their own. To
    # it, a fibre that goes on in its frames would look like one that uses those of an ended call.
    emulated="-D__SANITIZE_ADDRESS__ -fsanitize-address-use-after-return=never -include emulate.h"
    (cd "$ports/cuda" &&
        clang++$newer -std=c++20 $instrumented -x c++ $emulated -c "$@" -o "$objects/64.o")
    set -- "$objects/64.o"
    ;;
esac
clang$newer -std=gnu11 $instrumented $guard -Wall -Wextra -Wconversion -Wsign-conversion -Werror \
    -c "$here/contract.c" -o "$build/fuzz-$port.o"
clang++$newer $checks -fsanitize=fuzzer,address,undefined "$build/fuzz-$port.o" "$@" -lm \
    -o "$build/fuzz-$port"
[ "$seconds" -gt 0 ] && limit=-max_total_time=$seconds || limit=-runs=0
"$build/fuzz-$port" "$limit" -max_len=500 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="$build/found-$port-" "$build/new-$port" "$here/corpus"
