# clang, whose warnings are other ones, finds no fault in what gcc compiles. Of kernels that are compiled for each
# instruction set and number type, three of the seven.
command -v clang >/dev/null || skip "no clang"
cmake -S "$SOURCE" -B build -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_C_COMPILER_LAUNCHER= -DCMAKE_BUILD_TYPE=Dev \
    -DCMAKE_C_FLAGS=-O0 -DLRK_FAULTS=ON -DLRK_CUDA=OFF >out 2>&1 || fail "$(cat out)"
ninja -C build -t commands all | grep -E '^[^ ]*clang ' | grep ' -c ' |
    grep -vE '_(F32|BF16)_(scalar|avx2)\.dir' >commands || true
[ "$(wc -l <commands)" -gt 400 ] || fail "only $(wc -l <commands) files are compiled"
sed -E 's/ -MD -MT [^ ]+ -MF [^ ]+//; s/ -o [^ ]+ / -fsyntax-only /' commands |
    (cd build && xargs -d '\n' -n 1 sh -c) || fail "clang refuses what gcc takes"
