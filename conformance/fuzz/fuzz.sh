#!/bin/sh
# Fuzzes a port through the C contract: fuzz.sh PORT SECONDS BUILD, with PORT c, general or cpp. It
# begins with the corpus, which 0 seconds only run through. What it finds ends it, and lies in BUILD.
# PORTS is the folder of other ports. New inputs lie in BUILD, too; to keep those that cover more:
#     BUILD/fuzz-c -merge=1 conformance/fuzz/corpus BUILD/new-c
set -e
port=$1 seconds=$2 build=$3
here=$(cd "$(dirname "$0")" && pwd)
include="-I$here/.."
ports=${PORTS:-$here/../../ports}
checks="-g -O1 -fno-sanitize-recover=undefined -pthread"
instrumented="$checks -fsanitize=fuzzer-no-link,address,undefined $include"
mkdir -p "$build/new-$port"
case $port in
c | general)
    source=$ports/c/backprop.c
    [ "$port" = c ] || source=$ports/c/ladder/general.c
    for bits in 64 32; do
        clang -std=gnu11 $instrumented -DBITS=$bits -c "$source" -o "$build/$port-$bits.o"
    done
    ;;
cpp)
    clang++ -std=c++20 $instrumented -isystem /usr/include/eigen3 -DEIGEN_FAST_MATH=0 \
        -c "$ports/cpp/backprop.cpp" -o "$build/$port-64.o"
    ;;
*) echo "fuzz.sh: no port $port" >&2 && exit 2 ;;
esac
clang -std=c11 $instrumented -Wall -Wextra -Wconversion -Wsign-conversion -Werror \
    -c "$here/contract.c" -o "$build/contract.o"
clang++ $checks -fsanitize=fuzzer,address,undefined "$build/contract.o" "$build/$port"-*.o -lm \
    -o "$build/fuzz-$port"
[ "$seconds" -gt 0 ] && limit=-max_total_time=$seconds || limit=-runs=0
"$build/fuzz-$port" "$limit" -max_len=500 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="$build/found-$port-" "$build/new-$port" "$here/corpus"
