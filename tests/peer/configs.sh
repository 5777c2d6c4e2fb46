# tests/peer/configs.sh -- random configurations of every family: our logits are those of transformers, and a GGUF file
# that is written without a warning gives them in llama.cpp too. LRK_CONFIGS: how many of each family (3);
# LRK_CONFIGS_SEED: others. LRK_PEER_PYTHON, LRK_PEER_NODE_MODULES: see families.sh.
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
peer_python torch transformers
peer configs made "${LRK_CONFIGS:-3}" "${LRK_CONFIGS_SEED:-1}"

tiny_tokenizer tiny
: >checks
wrong=0 written=0
for model in made/*; do
    "$LORIKEET" verify "$model" >out 2>err || { wrong=$((wrong + 1)); cat out err "$model/config.json"; }
    # llama.cpp takes the factors of longrope by the size of its context
    ! grep -q longrope "$model/config.json" || continue
    "$LORIKEET" convert --model "$model" --tokenizer tiny --out "${model##*/}.gguf" >out 2>err || continue
    ! grep -q warning err || continue
    # the f16 cache at logits up to 6.5 (llama_cpp.sh)
    printf '%s\n' "${model##*/}.gguf $model base 5e-3" >>checks
    written=$((written + 1))
done
echo "$(ls made | wc -l) models, $wrong wrong, $written of them as GGUF too"
[ $wrong = 0 ] || fail "$wrong models give other logits than in transformers"
[ $written -gt 8 ] || fail "hardly any was written as GGUF: $(cat err)"
command -v node >/dev/null && [ -d "$modules/node-llama-cpp" ] || {
    echo "no node-llama-cpp: what llama.cpp computes is not checked; LRK_PEER_NODE_MODULES names it"
    exit 0
}
node "$SOURCE/tests/peer/llama_cpp.mjs" "$modules" checks >out 2>&1 || { grep -v '^ok' out; fail "llama.cpp computes something else"; }
