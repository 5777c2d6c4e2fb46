# Which algorithm a product takes: the first that the library proposes, whatever the clock says, so that one
# command gives the same bytes in every process; by time only where a file is named, and then what the file says.
model=$SOURCE/tests/golden/data/llama
for i in $(seq 1 6); do
    printf '{"prompt": "row %d asks\\n", "completion": "and %d answers"}\n' $i $i
done >rows.jsonl
cat >recipe.yaml <<EOF
base_model: $model
lora_r: 4
datasets: [{path: rows.jsonl}]
micro_batch_size: 2
max_steps: 2
compute_dtype: f32
device: cuda
EOF
# train NAME [VARIABLE=VALUE...]
train() {
    local name=$1
    shift
    env "$@" "$LORIKEET" train recipe.yaml output_dir="$name" >"$name.log" 2>&1 || fail "$name: $(cat "$name.log")"
}
same() { cmp -s "$1/adapter/adapter_model.safetensors" "$2/adapter/adapter_model.safetensors"; }

train plain
train slow LRK_EMULATOR_SLOW=1
same plain slow || fail "a slow algorithm gives other bytes: the clock has chosen"
train timed LRK_EMULATOR_SLOW=1 LRK_GPU_PRODUCTS=products
same plain timed && fail "with a file times choose, and the first algorithm is slow: the bytes should differ"
grep -q ' = 1$' products || fail "the second algorithm is not in the file: $(cat products)"
[ -z "$(sort products | uniq -d)" ] || fail "a product is there twice"
cp products before
train again LRK_EMULATOR_SLOW=2 LRK_GPU_PRODUCTS=products
same timed again || fail "a later run does not do what the file says"
cmp products before || fail "a later run timed what was there"

# lines of another library, and one that was cut off
sed -e 's/ | / 1 | /' before >library
printf 'half a line' >>library
train other LRK_EMULATOR_SLOW=2 LRK_GPU_PRODUCTS=library
same plain other || fail "lines of another library count"
[ "$(grep -c ' = 0$' library)" -gt 1 ] || fail "what was timed was not kept: $(cat library)"
mkdir dir
train unread LRK_GPU_PRODUCTS=dir
same plain unread || fail "a directory as the file of products changes the bytes"
grep -q 'LRK_GPU_PRODUCTS' unread.log || fail "no word about a directory as the file: $(cat unread.log)"

# a proposal that is refused when it shall run: the next one is taken; where none is left, the library's word is told
train refused LRK_EMULATOR_REFUSED=1
same plain refused && fail "the first algorithm is refused, and the bytes are its bytes"
train refused_again LRK_EMULATOR_REFUSED=1 LRK_EMULATOR_ORDER=reverse
same refused refused_again || fail "other bytes the second time that the first algorithm is refused"
train refused_later LRK_EMULATOR_REFUSED=1 LRK_GPU_PRODUCTS=library
same refused refused_later || fail "the file says the first algorithm, which is refused: other bytes"
train kept LRK_GPU_PRODUCTS=library
same refused kept || fail "what ran was not kept in the place of what was refused"
# refused REFUSED STATUS TEXT: what is told
refused() {
    LRK_EMULATOR_REFUSED=$1 expect_error 6 "$2" "$LORIKEET" train recipe.yaml output_dir="none_$1"
    grep -q "$3" err || fail "what is refused: $(cat err)"
}
refused 2 "CUBLAS_STATUS_NOT_SUPPORTED (15)" \
    'refuses a product of [0-9]* x [0-9]* by .* in each of 2 ways.*another version.*device: cpu'
refused 3 "CUBLAS_STATUS_NOT_SUPPORTED (15)" 'has no way for a product of [^:]* apart): CUBLAS'
refused 2,14 "CUBLAS_STATUS_INTERNAL_ERROR (14)" \
    'does not run a product of [^:]* apart): CUBLAS.*the GPU, or use device: cpu'
