# Recipes: what is accepted, and every way to be wrong with the message it gets.

good='base_model: m
datasets: [{path: rows.h5}]'

# accept TEXT [key=value ...]: a recipe with the two required keys and TEXT is fine
accept() {
    printf '%s\n%s\n' "$good" "$1" >r.yaml
    shift
    expect_exit 0 "$LORIKEET" recipe check r.yaml "$@"
}

# bad TEXT MESSAGE: the same recipe is refused with exit 2 and MESSAGE
bad() {
    printf '%s\n%s\n' "$good" "$1" >r.yaml
    expect_error 2 "$2" "$LORIKEET" recipe check r.yaml
}

# whole TEXT MESSAGE: TEXT alone is refused
whole() {
    printf -- "$1" >r.yaml
    expect_error 2 "$2" "$LORIKEET" recipe check r.yaml
}

# command ASSIGNMENT MESSAGE
command_line() {
    printf '%s\n' "$good" >r.yaml
    expect_error 2 "$2" "$LORIKEET" recipe check r.yaml "$1"
}

# ---- keys
bad 'lora_rnak: 8' 'r.yaml:3:1: lora_rnak: unknown key, did you mean lora_r?'
bad 'xyzzy: 8' 'r.yaml:3:1: xyzzy: unknown key; `lorikeet recipe schema` lists all'
bad 'lora_r: 8
lora_r: 9' 'r.yaml:4:1: lora_r: given twice, first in line 3'
bad 'lora_rank: 8
lora_r: 9' 'r.yaml:4:1: lora_r: given twice, first as lora_rank in line 3'
bad 'bf16: true
compute_dtype: f32' 'r.yaml:4:1: compute_dtype: given twice, first as bf16 in line 3'
accept 'pad_to_sequence_len: true
wandb_project: trials
wandb_run_id: 7'
grep -q 'pad_to_sequence_len: there is no padding, ever' err || fail "no note: $(cat err)"
grep -q 'wandb_project: metrics are in metrics.jsonl' err || fail "no note: $(cat err)"
accept 'special_tokens: {eos_token: null}'
bad 'special_tokens: [a]' 'special_tokens: expected '
bad 'special_tokens: {sep_token: "<sep>"}' 'special_tokens.sep_token: unknown key'
bad 'added_tokens_overrides: {<query>: 7}' '<query>: expected the id of a token'
bad 'added_tokens_overrides: [a]' 'added_tokens_overrides: expected '
accept 'tokens: ["<|query|>", a]
added_tokens_overrides: {"7": "<|x|>", 1048575: b}
special_tokens: {eos_token: "<end>", additional_special_tokens: [c]}'
expect_exit 0 "$LORIKEET" recipe check r.yaml --resolved
grep -qF 'added_tokens_overrides: {7: "<|x|>", 1048575: b}' out || fail "not printed: $(cat out)"

# noted KEY: the last recipe was fine, and a note says something of the key
noted() { grep -q "$1[.:]" err || fail "no word of $1: $(cat err)"; }
# same TEXT RECIPE: TEXT means the same as RECIPE
same() {
    accept "$1" --resolved
    cp out one
    accept "$2" --resolved
    cmp -s one out || fail "not the same: $1 and $2: $(diff one out)"
}

# ---- keys of other tools that change nothing
for line in 'gradient_checkpointing_kwargs: {use_reentrant: false}' 'hub_strategy: every_save' 'hub_model_id: a/b' \
    'trust_remote_code: true' 'overwrite_output_dir: True' 'use_cache: false' 'dataloader_pin_memory: true' \
    'preprocessing_num_workers: 16' 'report_to: none' 'report_to: [none]' 'ddp_timeout: 180000000' 'logging_dir: logs' \
    'ddp_find_unused_parameters: true' 'swanlab_project: x' 'liger_rope: true' 'eot_tokens: ["<end_of_turn>"]'; do
    accept "$line"
    noted "${line%%:*}"
done
for line in 'bias: none' 'lora_bias: none' 'lora_bias: false' 'fsdp: ""' 'fsdp: []' 'fsdp_config: {}' 'do_train: True' \
    'label_smoothing_factor: 0.0' 'local_rank: -1' 'push_to_hub: false' 'dataloader_drop_last: false' 'task_type: CAUSAL_LM' \
    'plugins: [axolotl.integrations.liger.LigerPlugin]' 'gradient_checkpointing_kwargs: {preserve_rng_state: true}' \
    'loss: {_component_: torchtune.modules.loss.LinearCrossEntropyLoss}'; do
    accept "$line"
done
bad 'bias: all' 'bias: biases are not trained'
bad 'gradient_checkpointing_kwargs: {context_fn: x}' 'gradient_checkpointing_kwargs.context_fn: there are no variants'
bad 'dataloader_drop_last: true' 'dataloader_drop_last: every row is trained'
bad 'eos_token: "<end>"' 'eos_token: use special_tokens: {eos_token: ...}'
bad 'push_to_hub: true' 'push_to_hub: nothing is sent anywhere; leave it out'
bad 'fsdp: [full_shard, auto_wrap]' 'fsdp: one process does the work here'
bad 'plugins: [axolotl.integrations.liger.LigerPlugin, my.Plugin]' 'plugins: there are no plugins'
bad 'model_init_kwargs: {use_cache: false, dtype: float16}' 'model_init_kwargs.dtype: weights stay in the type they are stored in'

# ---- and those that mean something
same 'lora_target: all' 'lora_target_modules: all-linear'
same 'lora_target: q_proj,v_proj' 'lora_target_modules: [q_proj, v_proj]'
same 'lora_target: "q_proj, v_proj"' 'lora_target_modules: [q_proj, v_proj]'
same 'additional_target: embed_tokens,lm_head' 'lora_modules_to_save: [embed_tokens, lm_head]'
same 'quantization_bit: 4' 'load_in_4bit: true'
bad 'quantization_bit: 8' 'quantization_bit: use load_in_4bit: true, or a quantized GGUF file'
same 'adapter: qlora
load_in_4bit: true' 'load_in_4bit: true'
same 'dtype: torch.float32' 'compute_dtype: f32'
same 'torch_dtype: bfloat16' 'compute_dtype: bf16'
bad 'dtype: torch.float16' 'dtype: torch.float16: use bf16'
same 'bf16: True' 'compute_dtype: bf16'
same 'enable_activation_checkpointing: False' 'gradient_checkpointing: none'
same 'use_gradient_checkpointing: unsloth' 'gradient_checkpointing: offload'
accept 'packing: false'
noted 'sample_packing: is taken for true'
accept 'sample_packing: true'
grep -qF 'sample_packing: a micro-batch holds micro_batch_size rows here' err || fail "no note: $(cat err)"
expect_exit 0 "$LORIKEET" recipe check r.yaml --resolved
cp out r.yaml
expect_exit 0 "$LORIKEET" recipe check r.yaml
[ ! -s err ] || fail "a note on what was printed here: $(cat err)"
same 'packing: false' ''
same 'max_steps: -1' ''
same 'lora_target_modules: (q|k)_proj,x{1,2}' 'lora_target_modules: (q|k)_proj,x{1,2}'
grep -q 'read as a list' err && fail 'a pattern with a comma was cut'
bad 'optimizer: {_component_: torch.optim.AdamW, lr: 1e-4}' 'r.yaml:3:1: optimizer: one word here, adamw'
bad 'lr_scheduler: {num_warmup_steps: 100}' 'lr_scheduler: one word here, as cosine'
whole 'model: {lora_rank: 8}\ndatasets: [{path: a}]\n' 'model: one path here, of a Hugging Face directory'

bad 'load_in_8bit: true' 'r.yaml:3:1: load_in_8bit: not in this version; use load_in_4bit, or a Q8_0 GGUF file as base_model'
bad 'bnb_4bit_quant_type: fp4' 'use nf4, which is closer to weights at the same size'
bad 'deepspeed: zero3.json' 'r.yaml:3:1: deepspeed: one process does the work here'
bad 'adapter: qlora' 'r.yaml:3:1: adapter: qlora needs load_in_4bit: true beside it'
bad 'bf16: yes' 'bf16: expected one of auto, true, full, false, got the word yes'
command_line bf16=yes 'override: bf16: expected one of auto, true, full, false, got the word yes'
bad 'validator: ./check' 'r.yaml:3:1: validator: expected a map'
bad 'export: {ggfu: [q8_0]}' 'export.ggfu: unknown key, did you mean export.gguf?'

bad 'export: {bf16: true}' 'export.bf16: unknown key'
bad 'export: {deepspeed: x}' 'export.deepspeed: unknown key'

# ---- types and ranges
bad 'lora_r: 0' 'r.yaml:3:1: lora_r: expected a whole number of at least 1 and at most 4096, got the number 0'
bad 'lora_r: -3' 'got the number -3'
bad 'lora_r: 8.5' 'lora_r: expected a whole number of at least 1 and at most 4096, got the number 8.5'
bad 'lora_r: "8"' 'got the text 8'
bad 'lora_r: eight' 'got the word eight'
bad 'lora_r: [8]' 'got a list'
accept 'lora_r:
early_stopping_patience:
export: {gguf: }
output_dir: ~'
bad 'lora_r: 0x10' 'got the word 0x10'
bad 'lora_r: 99999999999999999999999' 'lora_r: expected a whole number'
bad 'learning_rate: .inf' 'learning_rate: expected a number above 0 and at most 10, got the word .inf'
bad 'learning_rate: 1e999' 'learning_rate: expected a number above 0'
bad 'learning_rate: 0' 'learning_rate: expected a number above 0 and at most 10, got the number 0'
bad 'lora_dropout: 1.0' 'lora_dropout: expected a number of at least 0 and below 1, got the number 1.0'
bad 'train_on_inputs: yes' 'train_on_inputs: expected true or false, got the word yes'
bad 'train_on_inputs: On' 'train_on_inputs: expected true or false, got the word On'
bad 'train_on_inputs: "true"' 'train_on_inputs: expected true or false, got the text true'
bad 'train_on_inputs: 1' 'train_on_inputs: expected true or false, got the number 1'
bad 'output_dir: no' 'output_dir: expected text, got the word no; put it in quotes'
bad 'output_dir: 12' 'output_dir: expected text, got the number 12; put it in quotes'
bad 'output_dir: ""' 'output_dir: an empty path'
bad 'output_dir: "a\u0007b"' 'output_dir: a control character in the text'
bad 'lr_scheduler: cosin' 'lr_scheduler: expected one of constant, linear, cosine, got the word cosin'
bad 'roles_to_train: {a: b}' 'roles_to_train: expected list of words, got a map'
bad 'roles_to_train: [user, user]' 'roles_to_train: user stands there twice'
bad 'export: {gguf: [q4_km]}' 'got the word q4_km; did you mean q4_k_m?'
bad 'export: {gguf: [q9_0]}' 'export.gguf: expected a list of f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k_s, q3_k_m, q3_k_l, q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k, iq4_nl, iq4_xs, got the word q9_0'

# ---- what the model says, where it is there
G=$SOURCE/tests/golden/data
bad 'tokens: [a, ""]' 'r.yaml:3:1: tokens: an empty text is no token'
model() { expect_error "$1" "$2" "$LORIKEET" recipe check model.yaml "${@:3}"; }
printf 'base_model: %s\ndatasets: [{path: rows.h5}]\n' "$G/llama" >model.yaml
expect_exit 0 "$LORIKEET" recipe check model.yaml 'tokens=["<|query|>"]' 'lora_target_modules=[q_proj, down_proj]'
model 2 "model.yaml: lora_target_modules: 'qproj' is no linear layer of this model; known: " 'lora_target_modules=[q_proj, qproj]'
model 2 "rank_pattern: 'nothing' matches no module" 'rank_pattern={nothing: 4}'
model 2 'layers_to_transform: 99' 'layers_to_transform=[99]'
model 2 "model.yaml: special_tokens" 'special_tokens.bos_token=<|other|>'
expect_exit 0 "$LORIKEET" recipe check model.yaml 'lora_target_modules=[qproj]' base_model=elsewhere
expect_exit 0 "$LORIKEET" recipe check model.yaml 'lora_target_modules=[qproj]' --resolved

# ---- data sets
whole 'base_model: m\n' 'r.yaml: datasets: is missing'
whole 'datasets: [{path: a}]\n' 'r.yaml: base_model: is missing'
whole 'base_model: m\ndatasets: a.jsonl\n' 'datasets: expected a list of data sets'
whole 'base_model: m\ndatasets: []\n' 'datasets: the list is empty'
whole 'base_model: m\ndatasets: [a.jsonl]\n' 'r.yaml:2:12: datasets: expected {path: ...}'
whole 'base_model: m\ndatasets: [{split: train}]\n' 'datasets: an entry without path'
whole 'base_model: m\ndatasets: [{path: a, pth: b}]\n' 'datasets.pth: unknown key, did you mean path?'
whole 'base_model: m\ndatasets: [{path: a, roles_to_train: [x]}]\n' 'datasets.roles_to_train: stands outside the list'
whole 'base_model: m\ndatasets: [{path: a, type: sharegtp}]\n' 'datasets.type: expected one of auto, messages'

whole 'base_model: m\ndatasets: [{path: a.jsonl, prompt: "{x}"}]\n' 'a.jsonl: prompt and completion go together'
whole 'base_model: m\ndatasets: [{path: a.jsonl, type: alpaca, prompt: x, completion: z}]\n' 'prompt stands beside type'
whole 'base_model: m\ndatasets: [{path: a.h5, type: alpaca}]\n' 'a.h5: type, prompt, completion and field_... are for JSONL'
printf 'base_model: m\ndatasets: [{path: a.jsonl, type: chat_template, field_messages: conversations,
  message_property_mappings: {role: from, content: value}, roles: {user: [human, user], assistant: [gpt], system: [system]}}]\n' >r.yaml
expect_exit 0 "$LORIKEET" recipe check r.yaml
whole 'base_model: m\ndatasets: [{path: a, message_property_mappings: {weight: w}}]\n' 'message_property_mappings.weight: of the members of a turn'
whole 'base_model: m\ndatasets: [{path: a, message_field_role: x, message_property_mappings: {role: speaker}}]\n' 'message_property_mappings.role: given twice'
whole 'base_model: m\ndatasets: [{path: a.h5, message_property_mappings: {role: speaker}}]\n' 'field_... are for JSONL'
whole 'base_model: m\ndatasets: [{path: a.jsonl, prompt: "{x}", completion: "{y}", field_input: z}]\n' 'prompt names members of a row itself'
whole 'base_model: m\ndatasets: [{path: a, roles: {assistant: [gpt, bot9]}}]\n' 'roles.assistant: roles have fixed names'

# ---- keys that contradict or need each other
bad 'warmup_steps: 10
warmup_ratio: 0.1' 'r.yaml:4:1: warmup_ratio: stands beside warmup_steps; give one of them'
bad 'save_steps: 10
saves_per_epoch: 2' 'saves_per_epoch: stands beside save_steps'
bad 'val_set_size: 0.1
test_datasets: [{path: t.h5}]' 'val_set_size: stands beside test_datasets'
bad 'val_set_size: 1.5' 'val_set_size: expected a share below 1 or a whole number of rows, got 1.5'
bad 'lr_scheduler: linear
cosine_min_lr_ratio: 0.1' 'cosine_min_lr_ratio: needs lr_scheduler: cosine'
bad 'micro_batch_tokens: 512
sequence_len: 1024' 'micro_batch_tokens: 512 is less than one row of sequence_len (1024)'
bad 'lora_dropout: 0.1
share_prefixes: true' 'share_prefixes: with lora_dropout each row is computed by itself'
same 'val_set_size: 0.0
evals_per_epoch: 4' ''
bad 'val_set_size: 0
eval_strategy: epoch' 'eval_strategy: there is nothing to evaluate on'
bad 'eval_steps: 10' 'there is nothing to evaluate on'
bad 'load_best_model_at_end: true' 'load_best_model_at_end: needs an evaluation'
bad 'early_stopping_patience: 2' 'early_stopping_patience: needs an evaluation'
bad 'val_set_size: 6
eval_strategy: no
load_best_model_at_end: true' 'load_best_model_at_end: needs an evaluation, and eval_strategy is no'
bad 'val_set_size: 0.1
eval_strategy: steps' 'eval_strategy: steps needs eval_steps'
bad 'lora_target_modules: [all-linear, q_proj]' 'all-linear stands alone'
bad 'device: gpu' 'did you mean cuda?'
printf '%s\n' "$good" >r.yaml
expect_exit 0 "$LORIKEET" recipe check r.yaml lora_r=4 device=cpu lora_r=8
[ "$(grep -c replaced err)" = 1 ] && grep -qF 'lora_r=4 is replaced by lora_r=8' err || fail "a key given twice: $(cat err)"
bad 'lora_target_modules: []' 'lora_target_modules: no module is named'
bad 'chat_template: llama4' 'chat_template: expected tokenizer_default (the model'\''s own), chatml, llama3, alpaca or a file that ends in .jinja'

# ---- YAML that recipes do not use
whole 'a: &x 1\n' 'r.yaml:1:4: anchors (&name) are not used in recipes'
whole 'a: *x\n' 'r.yaml:1:4: aliases (*name) are not used in recipes'
whole 'a: !!int 1\n' 'r.yaml:1:4: tags (!name) are not used in recipes'
whole '<<: {a: 1}\n' 'r.yaml:1:1: merge keys (<<) are not used in recipes'
whole 'lora_r: 1\n---\nlora_r: 2\n' 'r.yaml:2:1: a second document; a recipe has one'
whole '%%YAML 1.1\n---\na: 1\n' 'directives (%) are not used in recipes'
whole '? [a]\n: b\n' 'a list as a key'
whole '? {a: 1}\n: b\n' 'a map as a key'
whole 'a: "x\\0y"\n' 'a NUL character in text'
whole '\tlora_r: 1\n' 'r.yaml:1:1:'
whole 'a: [1, 2\n' 'r.yaml:'
whole 'a: "\xff"\n' 'r.yaml: byte'
whole '- a\n' 'r.yaml:1:1: a recipe is a map of keys'
head -c 40000 /dev/zero | tr '\0' '[' >r.yaml
expect_error 2 'nested deeper than 16 levels' timeout 10 "$LORIKEET" recipe check r.yaml
printf '\211HDF\r\n\032\n\0\0\0\0' >rows.h5x
expect_error 2 'rows.h5x: is no text; a recipe is YAML' "$LORIKEET" recipe check rows.h5x
expect_error 2 '--output_dir: unknown option; a key of a recipe is given without dashes: output_dir=VALUE' \
    "$LORIKEET" recipe check r.yaml --output_dir=x
expect_error 2 'without dashes: output_dir=VALUE' "$LORIKEET" recipe check r.yaml --output-dir x
head -c 70000 /dev/zero | tr '\0' '#' >r.yaml
expect_error 3 "at most 65536" "$LORIKEET" recipe check r.yaml
{ echo -n 'a: ['; seq -s, 5000 | tr -d "\n"; echo ']'; } >r.yaml
expect_error 2 'more than 4096 YAML events' "$LORIKEET" recipe check r.yaml

# ---- several mistakes at once
printf '%s\nlora_r: 0\nlora_alpha: x\nfoo_bar_baz: 1\n' "$good" >r.yaml
expect_exit 2 "$LORIKEET" recipe check r.yaml
[ "$(grep -c '^error: r.yaml:' err)" = 3 ] || fail "expected three mistakes, got: $(cat err)"
{ echo "$good"; for i in $(seq 30); do echo "zzzzzz_$i: 1"; done; } >r.yaml
expect_error 2 'and 10 more' "$LORIKEET" recipe check r.yaml

printf 'lora_r: 8\nlora_r: 9\nlora_alpha: x\n%s\n' "$good" >r.yaml
expect_error 2 'r.yaml:2:1: lora_r: given twice, first in line 1' "$LORIKEET" recipe check r.yaml
grep -qF 'r.yaml:3:1: lora_alpha: expected' err || fail "the reader stops at a key given twice: $(cat err)"
printf '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n' >r.jsonl
expect_error 2 'r.jsonl: holds rows of JSON, which are data' "$LORIKEET" recipe check r.jsonl
accept ''
grep -qF 'not there: base_model m' out && grep -qF 'not there: datasets rows.h5' out || fail "missing files: $(cat out)"
expect_exit 0 "$LORIKEET" recipe check r.yaml --json
grep -qE '"sha256": "[0-9a-f]{64}"' out && grep -qF '"key": "datasets"' out && grep -qF '"path": "rows.h5"' out ||
    fail "check --json: $(cat out)"
expect_error 2 '--resolved and --json: one of them' "$LORIKEET" recipe check r.yaml --json --resolved
expect_exit 0 "$LORIKEET" recipe explain lora_r bf16 load_in_8bit --json
grep -qF '"lora_rank"' out && grep -qF '"key_here": "compute_dtype"' out && grep -qF '"of_another_tool": ' out ||
    fail "explain --json: $(cat out)"
expect_exit 0 "$LORIKEET" recipe explain warmup_steps
grep -qF 'the first of them has rate 0' out || fail "explain: $(cat out)"
expect_exit 0 "$LORIKEET" recipe explain datasets.path test_datasets.prompt
grep -qF 'in an entry of datasets: ' out || fail "explain: $(cat out)"

# ---- names of other tools
same 'warmup_steps: 0.03' 'warmup_ratio: 0.03'
accept 'warmup_steps: 0.03'
grep -qF 'warmup_steps: below 1 is a share of all steps' err || fail "no note: $(cat err)"
[ "$(grep -c note: err)" = 1 ] || fail "one note is enough: $(cat err)"
bad 'warmup_steps: 1.5' 'warmup_steps: expected a whole number'
bad 'warmup_steps: 0.1
warmup_ratio: 0.2' 'warmup_ratio: given twice, first as warmup_steps'
accept 'clip_grad_norm: null'
grep -qF 'clip_grad_norm: is not set, so that the default holds' err || fail "no note: $(cat err)"
accept 'lora_rank: 8'
grep -qF 'note: r.yaml:3:1: lora_rank: is called lora_r here' err || fail "no note: $(cat err)"
for optimizer in adamw_bnb_8bit adamw_8bit paged_adamw_8bit paged_adamw_32bit; do
    accept "optimizer: $optimizer"
    grep -qF "note: r.yaml:3:1: optimizer: $optimizer: AdamW with moments in f32 is used" err || fail "no note: $(cat err)"
done
accept 'pad_to_sequence_len: true'
grep -qF 'note: r.yaml:3:1: pad_to_sequence_len: there is no padding' err || fail "no note: $(cat err)"
accept 'bf16: auto'
accept 'load_in_4bit: false'
accept 'chat_template: llama3'
accept 'chat_template: alpaca'
accept 'flash_attention: true'
grep -qF 'flash_attention: attention always works in blocks' err || fail "no note: $(cat err)"
accept 'deepspeed:'
accept 'test_datasets: [{path: t.h5, field_messages: messages, type: chat_template}]'
accept 'lora_target_linear: true'
same 'lora_target_linear: true
lora_target_modules: [q_proj]' 'lora_target_modules: all-linear'
same 'lora_target_modules: [q_proj]
lora_target_linear: true' 'lora_target_modules: all-linear'
accept 'lora_target_modules: [q_proj]
lora_target_linear: true'
grep -qF 'is every linear layer, those of this list among them' err || fail "no note: $(cat err)"
bad 'lora_target_modules: [q_proj, lm_head]
lora_target_linear: true' 'lora_target_modules: lm_head is none of the linear layers that lora_target_linear: true adapts'
bad 'lora_target_linear: true
lora_target_modules: {a: 1}' 'lora_target_modules: expected list of words, got a map'
accept 'test_datasets: [{path: t.jsonl, type: alpaca}]'
grep -qF 'test_datasets.type: alpaca is the shape of the rows' err || fail "no note: $(cat err)"
for order in '{print}' '{line[NR] = $0} END {for (i = NR; i; i--) print line[i]}'; do
    printf 'lora_target_linear: true\nlora_target_modules: [k_proj]\n' | awk "$order" >both
    accept "$(cat both)" --resolved 'lora_target_modules=[q_proj]'
    grep -qF 'lora_target_modules: [q_proj]' out || fail "the command line has no say: $(cat out)"
done
bad 'lora_target_modules: [q_proj]
target_modules: [v_proj]' 'given twice, first as lora_target_modules in line 3'
accept 'gradient_checkpointing: true'
accept 'optimizer: adamw_torch_fused'

# ---- the command line
command_line 'lora_r=0' 'override: lora_r: expected a whole number'
command_line 'lora_rnak=1' 'override: lora_rnak: unknown key, did you mean lora_r?'
command_line 'lora_r' 'override: lora_r: expected key=value'
command_line 'lora_r.x=1' 'override: lora_r: expected a whole number'
command_line 'datasets.7.path=x' 'override: datasets.7.path: there is nothing called 7 in it'
command_line 'lora_target_modules=[a' 'override:'
command_line 'datasets.0.completion={js}' "datasets.completion: expected text, got a map; put it in quotes inside those of the shell"
bad 'validator: {command: {a}}' 'validator.command: expected text, got a map; put it in quotes'
accept 'lora_r: 4' lora_rank=8 lora_target_modules='[q_proj, v_proj]' datasets.0.path=other.h5 \
    datasets.1.path=more.h5 export.gguf='[q8_0]' validator.command='./check -' output_dir=12 --resolved
for line in 'lora_r: 8' 'lora_target_modules: \[q_proj, v_proj\]' '  - path: other.h5' '  - path: more.h5' \
    '  gguf: \[q8_0\]' '  command: "./check -"' 'output_dir: "12"'; do
    grep -q "^$line\$" out || fail "no \"$line\" in the resolved recipe: $(cat out)"
done

# ---- the resolved recipe reads back to itself
cp out first.yaml
expect_exit 0 "$LORIKEET" recipe check first.yaml --resolved
cmp -s out first.yaml || fail "the resolved recipe does not read back to itself"
[ ! -s err ] || fail "reading a resolved recipe says $(cat err)"

# ---- what ships
for recipe in "$SOURCE"/recipes/*.yaml; do
    expect_exit 0 "$LORIKEET" recipe check "$recipe"
    [ ! -s err ] || fail "$recipe: $(cat err)"
done
expect_exit 0 "$LORIKEET" recipe schema --markdown
cmp -s out "$SOURCE/docs/recipe.md" || fail "docs/recipe.md is stale: lorikeet recipe schema --markdown"
expect_exit 0 "$LORIKEET" recipe schema --json
expect_exit 0 "$LORIKEET" recipe explain lora_alpha export load_in_4bit
expect_error 2 'lora_aplha: unknown key, did you mean lora_alpha?' "$LORIKEET" recipe explain lora_aplha
expect_error 3 "missing.yaml" "$LORIKEET" recipe check missing.yaml
