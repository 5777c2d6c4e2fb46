# tests/cli/ollama.sh -- bundles for Ollama: what lies in them, and what has no Go template. That Go renders the
# text that was trained with: tests/peer/ollama.sh.
G=$SOURCE/tests/golden/data
BOS='<|begin_of_text|>'

# model TEMPLATE: the llama of the golden directory with another chat template
model() {
    rm -rf m && mkdir m
    cp "$G/llama/config.json" "$G/llama/model.safetensors" "$G/llama/tokenizer.json" m
    printf '{"bos_token": "%s", "eos_token": "<|eot_id|>"}' "$BOS" >m/tokenizer_config.json
    printf '%s' "$1" >m/chat_template.jinja
}
bundle() { rm -rf b && "$LORIKEET" merge --model m --out b --format ollama --threads 1 >out 2>err; }

chatml='{% for m in messages %}{{ "<|im_start|>" + m.role + "\n" + m.content + "<|im_end|>\n" }}{% endfor %}{% if add_generation_prompt %}{{ "<|im_start|>assistant\n" }}{% endif %}'
llama3='{{ bos_token }}{% for m in messages %}{{ "<|start_header_id|>" + m.role + "<|end_header_id|>\n\n" + m.content | trim + "<|eot_id|>" }}{% endfor %}{% if add_generation_prompt %}{{ "<|start_header_id|>assistant<|end_header_id|>\n\n" }}{% endif %}'

# ---- what lies in a bundle ----
model "$llama3"
bundle || fail "$(cat err)"
! grep -q think err || fail "a warning for a template that cuts nothing: $(cat err)"
[ "$(ls b | LC_ALL=C sort | tr '\n' ' ')" = 'Modelfile README.md manifest.json model.gguf ' ] || fail "a bundle of $(ls b)"
grep -qxF 'FROM ./model.gguf' b/Modelfile || fail "FROM: $(cat b/Modelfile)"
grep -qxF 'PARAMETER stop "<|eot_id|>"' b/Modelfile || fail "stop: $(cat b/Modelfile)"
expect_exit 0 "$LORIKEET" export --adapter "$G/llama/adapter" --base b/model.gguf --ollama two --any-base
[ "$(ls two | LC_ALL=C sort | tr '\n' ' ')" = 'Modelfile README.md adapter.gguf base.gguf manifest.json ' ] || fail "a bundle of $(ls two)"
cmp b/model.gguf two/base.gguf || fail "the base is another one"
diff <(grep -v '^FROM\|^ADAPTER' two/Modelfile) <(grep -v ^FROM b/Modelfile) || fail "other templates"
[ "$(grep ^ADAPTER two/Modelfile)" = 'ADAPTER ./adapter.gguf' ] || fail "ADAPTER: $(cat two/Modelfile)"
expect_exit 0 "$LORIKEET" export --adapter "$G/llama/adapter" --base m --ollama three --from llama3.2:1b
[ "$(ls three | LC_ALL=C sort | tr '\n' ' ')" = 'Modelfile README.md adapter.gguf manifest.json ' ] || fail "a bundle of $(ls three)"
grep -qxF 'FROM llama3.2:1b' three/Modelfile || fail "FROM: $(cat three/Modelfile)"
expect_error 2 'a GGUF file' "$LORIKEET" export --adapter "$G/llama/adapter" --base m --ollama four
expect_error 2 'not empty' "$LORIKEET" merge --model m --out b --format ollama

# ---- what Ollama's templates cannot do is said ----
model '{% for m in messages %}{{ "<|im_start|>" + m.role + "\n" + (m.content.split("</think>") | last if m.role == "assistant" else m.content) + "<|im_end|>\n" }}{% endfor %}{% if add_generation_prompt %}{{ "<|im_start|>assistant\n" }}{% endif %}'
bundle || fail "$(cat err)"
grep -qF 'leaves <think> blocks out of earlier answers' err || fail "no word about answers that think: $(cat err)"
model '{% for m in messages %}{{ "<|" + m.role + "|>" + m.content + (tools[0].function.name if tools else "") + (m.reasoning_content[:9] if m.reasoning_content else "") }}{% for c in m.tool_calls %}{{ c.function.name + c.id }}{% endfor %}<|eot_id|>{% endfor %}{% if add_generation_prompt %}{{ "<|assistant|>" }}{% endif %}'
bundle || fail "$(cat err)"
for what in 'a list of tools' 'calls of tools' 'thoughts beside an answer'; do
    grep -qF "shows $what in a way that has no Go template" err || fail "no word about $what: $(cat err)"
done
! grep -qF .Tools b/Modelfile || fail "Ollama would take it for a template with tools"
model "$llama3"
bundle || fail "$(cat err)"
! grep -qF 'has no Go template' err || fail "a warning for a template without tools: $(cat err)"

# ---- tools: what Ollama forgets stands in the bundle ----
model '{% if tools %}{{ "[TOOLS]" + tools | tojson + "[/TOOLS]" }}{% endif %}{% for m in messages %}{{ "<|" + m.role + "|>" + m.content }}{% for c in m.tool_calls %}{{ "[CALL]" + c.function.name + "[ARGS]" + c.function.arguments | tojson }}{% endfor %}<|eot_id|>{% endfor %}{% if add_generation_prompt %}{{ "<|assistant|>" }}{% endif %}'
bundle || fail "$(cat err)"
grep -qF '{{ template "tools" $.Tools }}' b/Modelfile && grep -qF '[CALL]{{ .Function.Name }}' b/Modelfile || fail "no tools: $(cat b/Modelfile err)"
grep -qF '# Ollama does not keep the order' b/Modelfile || fail "no word of what Ollama forgets: $(cat b/Modelfile)"
model "$llama3"
bundle || fail "$(cat err)"

# ---- the template that was trained with, not the model's own ----
printf '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' >c.jsonl
cat >recipe.yaml <<YAML
base_model: m
datasets: [{path: c.jsonl}]
chat_template: chatml
lora_r: 2
max_steps: 1
learning_rate: 1e-2
train_on_eos: none # <|im_end|> is no token of this vocabulary that ends a turn
YAML
echo -n '{% for m in messages %}{{ loop.length }}{{ m.content }}<|eot_id|>{% endfor %}' >loop.jinja
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=run
expect_exit 0 "$LORIKEET" merge --model m --adapter run/adapter --out five --format ollama
grep -qF '"<|im_start|>user\n"' five/Modelfile || fail "not chatml: $(cat five/Modelfile)"
expect_exit 0 "$LORIKEET" merge --model m --adapter run/adapter --out six --format ollama --chat-template llama3
grep -qF '"<|start_header_id|>user<|end_header_id|>\n\n"' six/Modelfile || fail "not llama3: $(cat six/Modelfile)"

# ---- trained on plain prompts: no chat template, by whatever way the bundle is made ----
printf '{"prompt": "a?", "completion": " b"}\n' >plain.jsonl
expect_exit 0 "$LORIKEET" train recipe.yaml 'datasets=[{path: plain.jsonl}]' output_dir=plain 'export.ollama=[q8_0]' export.check_rows=0
grep -qF 'plain/adapter --prompt "..."' out || fail "what comes next is not asked as it was trained: $(cat out)"
grep -qF '"chat_template": "none"' plain/adapter/manifest.json || fail "$(cat plain/adapter/manifest.json)"
expect_exit 0 "$LORIKEET" merge --model m --adapter plain/adapter --out plain-merged --format ollama
expect_exit 0 "$LORIKEET" export --adapter plain/adapter --base m --ollama plain-export --from base
expect_exit 0 "$LORIKEET" combine plain/adapter plain/adapter=-.5 --out plain-two
expect_exit 0 "$LORIKEET" merge --model m --adapter plain-two --out plain-combined --format ollama
for bundle in plain/ollama-q8_0 plain-merged plain-export plain-combined; do
    grep -qxF 'TEMPLATE """{{ .Prompt }}"""' $bundle/Modelfile || fail "$bundle: $(cat $bundle/Modelfile)"
    [ "$(grep -c '^TEMPLATE' $bundle/Modelfile)" = 1 ] || fail "$bundle: $(cat $bundle/Modelfile)"
    grep -qxF 'PARAMETER stop "<|eot_id|>"' $bundle/Modelfile || fail "$bundle: no stop: $(cat $bundle/Modelfile)"
done
expect_exit 0 "$LORIKEET" merge --model m --adapter plain/adapter --out plain.gguf
grep -qF 'plain.gguf: was trained on plain prompts' err || fail "no word of how to ask: $(cat err)"
for model in "m --adapter plain/adapter" plain.gguf; do
    expect_exit 0 "$LORIKEET" generate --model $model --message 'a?' --max-new-tokens 2
    grep -qF "${model##* }: was trained on plain prompts: ask it with prompts as they stand (generate --prompt)" err ||
        fail "$model: no word of how to ask: $(cat err)"
    expect_exit 0 "$LORIKEET" generate --model $model --prompt 'a?' --max-tokens 2
    ! grep -qF 'plain prompts' err || fail "asked as it was trained, and told how to: $(cat err)"
done
# (who asks for a template gets it, and one that was trained with conversations too decides)
expect_exit 0 "$LORIKEET" merge --model m --adapter plain/adapter --out given --format ollama --chat-template tokenizer_default
grep -qF 'range .Messages' given/Modelfile || fail "$(cat given/Modelfile)"
expect_exit 0 "$LORIKEET" combine plain/adapter run/adapter --out mixed
expect_exit 0 "$LORIKEET" merge --model m --adapter mixed --out mixed-bundle --format ollama
grep -qF 'range .Messages' mixed-bundle/Modelfile || fail "$(cat mixed-bundle/Modelfile)"

# ---- at the end of a run ----
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=last 'export.ollama=[q8_0, f16]' export.check_rows=0
for type in q8_0 f16; do
    [ "$(ls last/ollama-$type | LC_ALL=C sort | tr '\n' ' ')" = 'Modelfile README.md manifest.json model.gguf ' ] ||
        fail "a bundle of $(ls last/ollama-$type)"
    diff last/ollama-$type/Modelfile five/Modelfile || fail "another Modelfile"
done
grep -qF '"path": "ollama-q8_0/model.gguf"' last/certificate.json || fail "$(cat last/certificate.json)"
rm last/ollama-f16/README.md # as if it had been stopped there
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=last 'export.ollama=[q8_0, f16]' export.check_rows=0 --resume
[ -e last/ollama-f16/README.md ] || fail "not finished"
expect_error 7 'the limit is' "$LORIKEET" train recipe.yaml --quiet output_dir=past 'export.ollama=[q4_0]' \
    'test_datasets=[{path: c.jsonl}]' export.max_kl=1e-9
[ ! -e past/ollama-q4_0 ] || fail "past the limit, but kept"
expect_error 3 'export.ollama: m: its chat template puts more than fixed pieces' "$LORIKEET" train recipe.yaml \
    output_dir=never 'export.ollama=[q8_0]' chat_template=loop.jinja
[ ! -e never/adapter ] || fail "trained all the same"

# ---- templates that no Go template here can say leave nothing ----
refused() {
    model "$1"
    rm -rf b
    expect_error 3 'it has no Go template here' "$LORIKEET" merge --model m --out b --format ollama
    [ ! -e b ] || fail "left: $(ls -R b)"
}
refused '{{ strftime_now("%H:%M") }}'"$chatml"
grep -qF 'prints the time' err || fail "the clock: $(cat err)"
refused '{{ strftime_now("%A") }}'"$chatml"
refused '{% for m in messages %}{{ m.content.strip(" \n") }}<|eot_id|>{% endfor %}'
refused '{% for m in messages %}{{ loop.length }}{{ m.content }}<|eot_id|>{% endfor %}'
refused '{% for m in messages %}{% if m.role != "system" %}{{ messages[0].content if loop.last else "" }}{{ m.content }}<|eot_id|>{% endif %}{% endfor %}'
refused '{% for m in messages %}{{ m.content | upper }}<|eot_id|>{% endfor %}'
