# Every golden directory on every instruction set, by the program as it is shipped: another optimizer orders sums
# otherwise.
levels=scalar
grep -qw avx2 /proc/cpuinfo && levels="$levels avx2"
grep -qw avx512bw /proc/cpuinfo && levels="$levels avx512"
grep -qw avx512_bf16 /proc/cpuinfo && levels="$levels avx512_bf16"
for level in $levels; do
    for dir in "$SOURCE"/tests/golden/data/*/; do
        LRK_CPU=$level expect_exit 0 "$LORIKEET" verify "$dir"
    done
done
