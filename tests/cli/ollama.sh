# tests/cli/ollama.sh -- bundles for Ollama: what lies in them, and that Go's text/template makes the text
# of the chat template that was trained with, for one template in the manner of each family.
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

declare -A family
family[chatml]='{% for m in messages %}{{ "<|im_start|>" + m.role + "\n" + m.content + "<|im_end|>\n" }}{% endfor %}{% if add_generation_prompt %}{{ "<|im_start|>assistant\n" }}{% endif %}'
family[qwen2]='{% if messages[0].role != "system" %}{{ "<|im_start|>system\nYou are \"helpful\".<|im_end|>\n" }}{% endif %}'${family[chatml]}
family[llama2]='{% if messages[0].role == "system" %}{% set s = "<<SYS>>\n" + messages[0].content + "\n<</SYS>>\n\n" %}{% set rest = messages[1:] %}{% else %}{% set s = "" %}{% set rest = messages %}{% endif %}{% for m in rest %}{% if m.role == "user" %}{{ bos_token + "[INST] " + (s if loop.first else "") + m.content + " [/INST]" }}{% else %}{{ " " + m.content + " " + eos_token }}{% endif %}{% endfor %}'
family[llama3]='{{ bos_token }}{% for m in messages %}{{ "<|start_header_id|>" + m.role + "<|end_header_id|>\n\n" + m.content | trim + "<|eot_id|>" }}{% endfor %}{% if add_generation_prompt %}{{ "<|start_header_id|>assistant<|end_header_id|>\n\n" }}{% endif %}'
family[mistral]='{{ bos_token }}{% for m in messages %}{% if m.role == "user" %}{{ "[INST] " + m.content + " [/INST]" }}{% elif m.role == "assistant" %}{{ m.content + eos_token }}{% else %}{{ raise_exception("only user and assistant") }}{% endif %}{% endfor %}'
family[gemma]='{{ bos_token }}{% if messages[0].role == "system" %}{% set s = messages[0].content + "\n\n" %}{% set rest = messages[1:] %}{% else %}{% set s = "" %}{% set rest = messages %}{% endif %}{% for m in rest %}{{ "<start_of_turn>" + ("model" if m.role == "assistant" else m.role) + "\n" + (s if loop.first else "") + m.content | trim + "<end_of_turn>\n" }}{% endfor %}{% if add_generation_prompt %}{{ "<start_of_turn>model\n" }}{% endif %}'
family[phi3]='{% for m in messages %}{{ "<|" + m.role + "|>\n" + m.content + "<|end|>\n" }}{% endfor %}{% if add_generation_prompt %}{{ "<|assistant|>\n" }}{% endif %}'
family[deepseek]='{{ bos_token }}{% for m in messages %}{% if m.role == "system" %}{{ m.content }}{% elif m.role == "user" %}{{ "<｜User｜>" + m.content }}{% else %}{{ "<｜Assistant｜>" + m.content + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "<｜Assistant｜>" }}{% endif %}'
family[granite]='{% for m in messages %}{{ "<|start_of_role|>" + m.role + "<|end_of_role|>" + m.content + "<|end_of_text|>\n" }}{% endfor %}{% if add_generation_prompt %}{{ "<|start_of_role|>assistant<|end_of_role|>" }}{% endif %}'

# ---- what lies in a bundle ----
model "${family[llama3]}"
bundle || fail "$(cat err)"
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
refused '{{ strftime_now("%Y-%m-%d") }}'"${family[chatml]}"
grep -qF 'prints the date' err || fail "the date: $(cat err)"
refused '{% for m in messages %}{{ loop.length }}{{ m.content }}<|eot_id|>{% endfor %}'
refused '{% for m in messages %}{% if m.role != "system" %}{{ messages[0].content if loop.last else "" }}{{ m.content }}<|eot_id|>{% endif %}{% endfor %}'
refused '{% for m in messages %}{{ m.content | upper }}<|eot_id|>{% endfor %}'

# ---- Go renders the same text ----
command -v go >/dev/null || skip "go is not here; only what lies in a bundle was tested"
export HOME=$PWD GOCACHE=$PWD/cache GO111MODULE=off GOFLAGS=-trimpath
go build -o render "$SOURCE/tests/cli/ollama.go"
u='{"role": "user", "content": "Grüße,\n {{ .Role }} \"x\" \\\\ <|im_end|>?"}'
a='{"role": "assistant", "content": "Ja."}' s='{"role": "system", "content": "Be brief & kind."}'
checked=0
for name in "${!family[@]}"; do
    model "${family[$name]}"
    bundle || fail "$name: $(cat err)"
    for talk in "$u" "$s, $u" "$u, $a, $u" "$s, $u, $a, $u" "$u, $a, $u, $a, $u"; do
        echo "[$talk]" >c.json
        got=0
        ./render b/Modelfile c.json >go.out 2>go.err || got=$?
        if ! "$LORIKEET" render --model m --messages c.json --generation-prompt >want 2>err; then
            [ "$got" = 3 ] || fail "$name: the template refuses $talk, Go says $(cat go.out)"
            grep -qF 'no system message' go.err || fail "$name: $(cat go.err)"
            continue
        fi
        # Ollama's tokenizer puts bos in front itself
        case $(head -c ${#BOS} want) in
        "$BOS") tail -c +$((${#BOS} + 1)) want >want.text ;;
        *) cp want want.text ;;
        esac
        cmp -s want.text go.out || fail "$name: $talk: $(diff want.text go.out)"
        checked=$((checked + 1))
    done
done
[ "$checked" -ge 40 ] || fail "only $checked conversations"
echo "$checked conversations of ${#family[@]} templates alike"
