# Every golden directory, on every instruction set of this machine. How the directories were made:
# tests/golden/README.md.
cases=$SOURCE/tests/golden/data
levels=scalar
grep -qw avx2 /proc/cpuinfo && levels="$levels avx2"
grep -qw avx512bw /proc/cpuinfo && levels="$levels avx512"

for dir in "$cases"/*/; do
    name=$(basename "$dir")
    case $name in
    llama_dora) expect_error 3 "use_dora" "$LORIKEET" verify "$dir" ;;
    *) expect_exit 0 "$LORIKEET" verify "$dir" ;;
    esac
done
for level in $levels; do
    for name in llama llama_gguf_q4_k mistral; do
        LRK_CPU=$level expect_exit 0 "$LORIKEET" verify "$cases/$name"
    done
done

# a changed number is noticed: exit 7, and the table says which
cp -r "$cases/llama" changed
chmod -R u+w changed
sed -i 's/"loss": 8.12045/"loss": 8.12145/' changed/expected.json
expect_error 7 "loss.base" "$LORIKEET" verify changed
grep -q EXCEEDED out || fail "the table does not mark the error"

# ids and labels of a directory are not taken on trust
for wrong in 's/"labels": \[-100, 196,/"labels": [-100, 4000000,/' \
    's/"input_ids": \[93,/"input_ids": [4294967297,/'; do
    sed "$wrong" "$cases/llama/batch.json" >changed/batch.json
    expect_error 3 "outside the vocabulary" "$LORIKEET" verify changed
done

# an empty directory is no golden directory
mkdir empty
expect_error 3 "nothing to verify" "$LORIKEET" verify empty
