# tests/peer/principal.sh -- adapters that PEFT saved unconverted after a PiSSA or OLoRA start load here: what is made of
# them has the logits that PEFT has when it loads them. LRK_PEER_PYTHON names a Python with torch, transformers and peft.
peer_python torch transformers peft
mkdir made
peer principal make made

cases="pissa olora dora olora_dora patterns fused flat"
for case in $cases; do
    "$LORIKEET" export --adapter "made/${case}_saved" --base "made/$case" --peft "adapter_$case" >out
    "$LORIKEET" merge --model "made/$case" --adapter "made/${case}_saved" --out "merged_$case" >out
done
peer principal check made $cases

# rows of q and k stand in another order in a GGUF base: the same adapter
"$LORIKEET" convert --model made/patterns --tokenizer "$SOURCE/tests/golden/data/llama" --out base.gguf >out
"$LORIKEET" export --adapter made/patterns_saved --base base.gguf --any-base --peft of_gguf >out
cat >compare.py <<'END'
from safetensors.numpy import load_file
a, b = (load_file(f"{d}/adapter_model.safetensors") for d in ("adapter_patterns", "of_gguf"))
assert a.keys() == b.keys()
delta = lambda s, k: s[k.replace("lora_A", "lora_B")] @ s[k]
for k in (k for k in a if "lora_A" in k):
    assert abs(delta(a, k) - delta(b, k)).max() <= 1e-5 * abs(delta(a, k)).max(), k
END
"$python" compare.py || fail "another adapter from a GGUF base"

# what PEFT finds by random search it does not find again; nobody can
expect_exit 3 "$LORIKEET" merge --model made/pissa --adapter made/random_saved --out no
grep -q 'another one each time it loads the adapter; save it .* path_initial_model_for_weight_conversion' err ||
    fail "no advice: $(cat err)"
# without its base it stays what it is
expect_exit 3 "$LORIKEET" export --adapter made/pissa_saved --peft no
grep -q 'lorikeet export --adapter A --base M --peft OUT' err || fail "no advice: $(cat err)"
expect_exit 3 "$LORIKEET" combine made/pissa_saved adapter_pissa --out no
"$LORIKEET" merge --model base.gguf --out quantized.gguf --dtype q4_0 >out
expect_exit 3 "$LORIKEET" export --adapter made/patterns_saved --base quantized.gguf --any-base --peft no
grep -q 'takes its part out of weights of 16 or 32 bits' err || fail "blocks: $(cat err)"
