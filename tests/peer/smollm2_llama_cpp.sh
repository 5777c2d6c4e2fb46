# tests/peer/smollm2_llama_cpp.sh -- the example's model, written by us as a GGUF file, in llama.cpp: the same ids for
# texts of many kinds, the same greedy answers.
modules=${LRK_PEER_NODE_MODULES:-$SOURCE/node_modules}
command -v node >/dev/null || skip "no node"
[ -d "$modules/node-llama-cpp" ] || skip "no node-llama-cpp; tests/peer/setup gets it"
model=$(ls "$SOURCE"/models/*[sS]mol[lL][mM]2*.gguf 2>/dev/null | head -1) || true
[ -n "$model" ] || skip "no SmolLM2 under models/; scripts/get-model gets it"

# Through a directory, so that every key and every tensor of the file is ours.
"$LORIKEET" convert --model "$model" --out hf >out && "$LORIKEET" convert --model hf --out m.gguf >out
cat >texts <<'END'
["The capital of France is", "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n",
 "<|im_start|>user\nHi there!<|im_end|>\n<|im_start|>assistant\n", "  two  blanks,\ttab\r\nline   ", "1234567890 3.14 1e-5",
 "Liebe Grüße aus Köln, 日本の首都は東京です 🦜🦜🏽", "SELECT name FROM orders WHERE total > 100;", "don't we'll I'M it's",
 "", "a", "ﬁ ﷺ e\u0301 \u00a0\u200b\u2028", "<|endoftext|><|im_end|", "x²+y³=z⁴ ½ ①", "ᚠᛇᚻ कि ไทย العربية עברית"]
END
for from in "$model" hf m.gguf; do "$LORIKEET" tokenize --model "$from" --texts texts --no-special >"$(basename "$from").ids"; done
cmp hf.ids m.gguf.ids && cmp "$(basename "$model").ids" m.gguf.ids || fail "our own ids differ"
cat >prompts.jsonl <<'END'
{"id": "1", "prompt": "The capital of France is"}
{"id": "2", "prompt": "<|im_start|>user\nWhat is two plus two?<|im_end|>\n<|im_start|>assistant\n"}
{"id": "3", "prompt": "def fibonacci(n):\n"}
END
"$LORIKEET" generate --model m.gguf --prompts prompts.jsonl --out answers.jsonl --max-tokens 24 --dtype f32 2>err
node "$SOURCE/tests/peer/smollm2_llama_cpp.mjs" "$modules" m.gguf texts m.gguf.ids prompts.jsonl answers.jsonl ||
    fail "llama.cpp differs"
