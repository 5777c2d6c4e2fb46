# tests/cli/served.sh -- serving sees the text that training saw: a template that conversations were trained with
# and that is not the model's own goes with the adapter and with everything that is made of it.
G=$SOURCE/tests/golden/data
cp -r "$G/llama" m && chmod -R u+w m && rm -r m/adapter m/init m/final m/merged
cat >m/tokenizer_config.json <<'JSON'
{"bos_token": "<|begin_of_text|>", "nested": {"chat_template": ["{\"}", 1]}, "eos_token": "<|eot_id|>",
 "chat_template": "{% for m in messages %}own {{ m.content }}<|eot_id|>{% endfor %}"  ,
 "model_max_length": 1000000000000000019884624838656}
JSON
cat >my.jinja <<'JINJA'
{{ bos_token }}{% for m in messages %}{{ m.role + ' "says" ' + m.content + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}assistant "says" {% endif %}
JINJA
printf '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' >c.jsonl
cat >recipe.yaml <<YAML
base_model: m
datasets: [{path: c.jsonl}]
chat_template: my.jinja
lora_r: 2
max_steps: 1
learning_rate: 1e-2
export: {merged: true, gguf: [f32], check_rows: 0}
YAML
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=run
cp my.jinja trained.jinja
rm my.jinja # whatever becomes of the file

text() { "$LORIKEET" render --model "$1" --messages talk.json --generation-prompt; }
echo '[{"role": "user", "content": "x"}]' >talk.json
want='<|begin_of_text|>user "says" x<|eot_id|>assistant "says" '
says() { [ "$(text "$1")" = "$want" ] || fail "$1: $(text "$1")"; }

cmp run/adapter/chat_template.jinja trained.jinja || fail "not beside the adapter"
says run/merged
says run/merged-f32.gguf
cmp run/merged/chat_template.jinja trained.jinja || fail "another chat_template.jinja"
# llama.cpp's converter reads the other place; no byte beside it changes
diff <(sed 's/^ "chat_template": ".*"  ,$//' m/tokenizer_config.json) \
    <(sed 's/^ "chat_template": ".*"  ,$//' run/merged/tokenizer_config.json) || fail "tokenizer_config.json"
rm run/merged/chat_template.jinja
says run/merged
cmp m/tokenizer.json run/merged/tokenizer.json

# a turn's end that the base does not end on is one of the output
for stops in '{"eos_token_id": 2, "top_k": 5}' '{"eos_token_id": [2, 3]}' ''; do
    rm -rf m2 ends && cp -r m m2 && rm -f m2/generation_config.json
    [ -z "$stops" ] || echo "$stops" >m2/generation_config.json
    sed -i 's/"eos_token_id": 380/"eos_token_id": 2/' m2/config.json
    expect_exit 0 "$LORIKEET" merge --model m2 --out ends --chat-template trained.jinja --any-base
    tr -d ' \n' <ends/generation_config.json | grep -qE '"eos_token_id":\[2,(3,)?380\]' ||
        fail "$stops: $(cat ends/generation_config.json)"
done
cmp m/generation_config.json run/merged/generation_config.json || fail "its end was there before"

# what is made of the adapter later
for out in later later.gguf; do
    expect_exit 0 "$LORIKEET" merge --model m --adapter run/adapter --out $out
    says $out
done
cmp later/chat_template.jinja trained.jinja
expect_exit 0 "$LORIKEET" merge --model m --out base.gguf
[ "$(text base.gguf)" = 'own x<|eot_id|>' ] || fail "no adapter, but $(text base.gguf)"
expect_exit 0 "$LORIKEET" merge --model base.gguf --adapter run/adapter --out again.gguf --any-base
says again.gguf
expect_exit 0 "$LORIKEET" merge --model base.gguf --adapter run/adapter --out again --any-base
says again
[ ! -e again/chat_template.json ] || fail "$(ls again)"
expect_exit 0 "$LORIKEET" export --adapter run/adapter --peft p
cmp p/chat_template.jinja trained.jinja
expect_exit 0 "$LORIKEET" merge --model m --adapter run/adapter --out bundle --format ollama
grep -qF '{{ "<|eot_id|>assistant \"says\" " }}' bundle/Modelfile || fail "$(cat bundle/Modelfile)"
says bundle/model.gguf

# somebody's choice goes before it
expect_exit 0 "$LORIKEET" merge --model m --adapter run/adapter --out chosen --chat-template chatml
grep -qF '<|im_start|>' chosen/chat_template.jinja || fail "$(cat chosen/chat_template.jinja)"
expect_exit 0 "$LORIKEET" merge --model m --adapter run/adapter --out own --chat-template tokenizer_default
cmp own/tokenizer_config.json m/tokenizer_config.json
[ ! -e own/chat_template.jinja ] || fail "invented"

# conversations with an adapter, in another place too
expect_exit 0 "$LORIKEET" generate --model m --adapter p --message x --max-tokens 3
cp out with
expect_exit 0 "$LORIKEET" generate --model m --adapter p --message x --max-tokens 3 --chat-template trained.jinja
cmp out with
expect_exit 0 "$LORIKEET" generate --model m --adapter p --message x --max-tokens 3 --chat-template tokenizer_default
! cmp -s out with || fail "the adapter's template makes no difference"

# the model's own template: every file stays as it is, and rows without conversations say nothing
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=plain chat_template=tokenizer_default
[ ! -e plain/adapter/chat_template.jinja ] || fail "invented"
cmp plain/merged/tokenizer_config.json m/tokenizer_config.json
cp trained.jinja my.jinja
printf '{"prompt": "a", "completion": "b"}\n' >c.jsonl
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=rows
[ ! -e rows/adapter/chat_template.jinja ] || fail "nothing was rendered with it"

# a config that only looks like JSON at first
echo '{"chat_template": "a"' >m/tokenizer_config.json
expect_error 3 'tokenizer_config.json' "$LORIKEET" merge --model m --adapter run/adapter --out bad
[ ! -e bad ] || fail "left: $(ls bad)"
echo '{"chat\u005ftemplate": "a"}' >m/tokenizer_config.json
expect_error 3 'is written with escapes' "$LORIKEET" merge --model m --adapter run/adapter --out bad
[ ! -e bad ] || fail "left: $(ls bad)"
