# tests/cli/targets.sh -- adapter_config.json names exactly the modules that were trained: other loaders
# put adapters on what target_modules says, and nowhere else.
printf '{"prompt": "q", "completion": " and an answer"}\n' >rows.jsonl
cat >recipe.yaml <<YAML
base_model: $SOURCE/tests/golden/data/llama
datasets: [{path: rows.jsonl}]
lora_r: 2
max_steps: 1
learning_rate: 1e-2
YAML

# trained NAME TARGETS [KEY=VALUE]: target_modules of the adapter that this choice gives, in one line
trained() {
    expect_exit 0 "$LORIKEET" train recipe.yaml --quiet "output_dir=$1" "lora_target_modules=$2" "${@:3}"
    sed -n '/"target_modules"/,/\]/p' "$1/adapter/adapter_config.json" | tr -d ' \n'
}

got=$(trained all all-linear)
[ "$got" = '"target_modules":["down_proj","gate_proj","k_proj","o_proj","q_proj","up_proj","v_proj"],' ] ||
    fail "all-linear: $got"
got=$(trained two '[v_proj,q_proj]')
[ "$got" = '"target_modules":["q_proj","v_proj"],' ] || fail "two: $got"
got=$(trained some '[layers.1.mlp.up_proj,q_proj]')
[ "$got" = '"target_modules":["model.layers.0.self_attn.q_proj","model.layers.1.mlp.up_proj","model.layers.1.self_attn.q_proj"],' ] ||
    fail "some layers: $got"
got=$(trained without all-linear 'exclude_modules=[gate_proj,up_proj,down_proj]')
[ "$got" = '"target_modules":["k_proj","o_proj","q_proj","v_proj"],' ] || fail "exclude by name: $got"
got=$(trained layer all-linear 'exclude_modules=.*(layers\.0|mlp|self_attn\.[kvo]_).*')
[ "$got" = '"target_modules":["model.layers.1.self_attn.q_proj"],' ] || fail "exclude by pattern: $got"
expect_error 2 "exclude_modules: 'k_proj' is no linear layer of this model with an adapter" \
    "$LORIKEET" train recipe.yaml output_dir=x lora_target_modules=q_proj 'exclude_modules=[k_proj]'

# ranks, alphas and layers as PEFT names them, written as they were given
config() { tr -d ' \n' <"$1/adapter/adapter_config.json"; }
got=$(trained ranks all-linear "rank_pattern={'layers\\.0\\.mlp\\..*': 3, down_proj: 4}" 'alpha_pattern={q_proj: 5, up_proj: 2.5}')
[ "$got" = '"target_modules":["down_proj","gate_proj","k_proj","o_proj","q_proj","up_proj","v_proj"],' ] || fail "ranks: $got"
case $(config ranks) in
*'"rank_pattern":{"layers\\.0\\.mlp\\..*":3,"down_proj":4}'*'"alpha_pattern":{"q_proj":5,"up_proj":2.5}'*) ;;
*) fail "patterns: $(config ranks)" ;;
esac
expect_exit 0 "$LORIKEET" inspect ranks/adapter --tensors
for line in 'layers.0.mlp.down_proj.lora_A.weight 3' 'layers.1.mlp.down_proj.lora_A.weight 4' \
    'layers.0.mlp.up_proj.lora_A.weight 3' 'layers.1.mlp.up_proj.lora_A.weight 2' 'layers.0.self_attn.q_proj.lora_A.weight 2'; do
    grep "${line% *}" out | grep -q "\[${line##* }," || fail "rank of $line: $(cat out)"
done
got=$(trained one_layer '[q_proj,up_proj]' 'layers_to_transform=[1]')
[ "$got" = '"target_modules":["q_proj","up_proj"],' ] || fail "a layer: $got"
case $(config one_layer) in
*'"layers_to_transform":[1]'*) ;;
*) fail "layers: $(config one_layer)" ;;
esac
expect_exit 0 "$LORIKEET" inspect one_layer/adapter --tensors
grep -q 'layers.1.mlp.up_proj.lora_A' out || fail "not layer 1: $(cat out)"
! grep -q 'layers.0' out || fail "layer 0 too: $(cat out)"
got=$(trained named '[q_proj]' layers_to_transform=0 'layers_pattern=[layers, h]')
[ "$got" = '"target_modules":["q_proj"],' ] || fail "layers_pattern: $got"
refused() { expect_error 2 "$1" "$LORIKEET" train recipe.yaml output_dir=x "${@:2}"; }
refused "rank_pattern: 'wq' matches no module with an adapter" 'rank_pattern={wq: 3}'
refused "rank_pattern: q_proj: a rank is a whole number, got 2.5" 'rank_pattern={q_proj: 2.5}'
refused "rank_pattern: pattern '(.*" "rank_pattern={'(q': 2}"
refused "rank_pattern: expected a map from patterns to numbers" 'rank_pattern=[q_proj]'
refused "alpha_pattern: expected a map" 'alpha_pattern={q_proj: -1}'
refused "layers_to_transform: 2, but the layers of this model are 0 to 1" 'layers_to_transform=[0,2]'
refused "layers_to_transform: expected a list of whole numbers" 'layers_to_transform=[q]'
refused "layers_pattern: needs layers_to_transform" 'layers_pattern=[h]'
refused "lora_target_modules: the pattern '.*q_prj' matches no linear layer of this model; it has to match a whole path" \
    'lora_target_modules=.*q_prj'
grep -qF 'as model.layers.0.self_attn.q_proj, whose last names are q_proj, ' err || fail "no names: $(cat err)"
mkdir neox && cp "$SOURCE/tests/golden/data/neox/"{config.json,model.safetensors} neox
echo '{"added_tokens": [], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1}}}' >neox/tokenizer.json
echo '{"prompt": "a", "completion": "b"}' >ab.jsonl
refused "as gpt_neox.layers.0.attention.dense, whose last names are dense, " \
    base_model=neox 'datasets=[{path: ab.jsonl}]' 'lora_target_modules=.*q_proj'
refused "lora_target_modules: 'q_prj' is no linear layer of this model; known: q_proj, " 'lora_target_modules=[q_prj]'
refused "selects no layer of this model" 'layers_to_transform=[1]' 'layers_pattern=[h]'
refused "layers_to_transform: needs names in lora_target_modules" 'layers_to_transform=[1]' 'lora_target_modules=.*q_proj'
refused "rank_pattern: the adapter of lora_model_dir says it" 'rank_pattern={q_proj: 3}' lora_model_dir=ranks/adapter

# rows of embedding and head
rows() { sed -n '/"trainable_token_indices"/,/[]}],$/p' "$1/adapter/adapter_config.json" | tr -d ' \n'; }
got=$(trained tokens '[q_proj]' 'peft_trainable_token_indices=[7, 3, 300]')
[ "$(rows tokens)" = '"trainable_token_indices":[3,7,300],' ] || fail "tokens: $(rows tokens)"
expect_exit 0 "$LORIKEET" inspect tokens/adapter --tensors
grep -q '\[3, 64\] .*embed_tokens.token_adapter.trainable_tokens_delta' out || fail "no three rows: $(cat out)"
got=$(trained ends '[q_proj]' 'trainable_token_indices={lm_head: [5, 4], embed_tokens: 3}')
case $(config ends) in
*'"lm_head":[4,5]'*) ;;
*) fail "tokens of both: $(config ends)" ;;
esac
refused "peft_trainable_token_indices: 384, but the rows of" 'peft_trainable_token_indices=[384]'
refused "peft_trainable_token_indices: 3 stands there twice" 'peft_trainable_token_indices=[3, 4, 3]'
refused "peft_trainable_token_indices: 'norm' has no tokens" 'peft_trainable_token_indices={norm: [3]}'
refused "peft_trainable_token_indices: a list without a token" 'peft_trainable_token_indices=[]'
refused "peft_trainable_token_indices: expected a list of whole numbers, or map from modules" 'peft_trainable_token_indices=[x]'
refused "'embed_tokens' is named twice, or trained whole" 'peft_trainable_token_indices=[3]' 'lora_modules_to_save=[embed_tokens]'
refused "the adapter of lora_model_dir says what is trained" 'peft_trainable_token_indices=[3]' lora_model_dir=ranks/adapter
refused "cannot hold what lora_modules_to_save and peft_trainable_token_indices train" \
    'peft_trainable_token_indices=[3]' export.adapter_gguf=true
tied="base_model=$SOURCE/tests/golden/data/llama_tied"
refused "beside lora_modules_to_save: not supported where" "$tied" 'peft_trainable_token_indices=[3]' 'lora_modules_to_save=[lm_head]'
refused "lora_modules_to_save: 'embed_in' cannot be trained whole; embed_tokens and lm_head can" 'lora_modules_to_save=[embed_in]'
tiny_tokenizer base_neox
cp "$SOURCE/tests/golden/data/neox/"{config.json,model.safetensors} base_neox
numbers() { tr -d ' \n' <"$1/adapter/manifest.json" | grep -o '"adapter":{"modules"[^}]*'; }
neox=base_model=base_neox
refused "'wte' cannot be trained whole; embed_in and lm_head can" "$neox" 'lora_modules_to_save=[wte]'
# GPT-NeoX has other names for the two, which are theirs in the file; PEFT's for the head is that of transformers 5
for names in embed_in,embed_out embed_tokens,lm_head; do
    got=$(trained "neox_$names" '[query_key_value]' "$neox" "lora_modules_to_save=[$names]")
    grep -qF '"embed_in",' "neox_$names/adapter/adapter_config.json" && grep -qF '"lm_head"' "neox_$names/adapter/adapter_config.json" ||
        fail "$names: $(config "neox_$names")"
    [ "$(numbers "neox_$names")" = "$(numbers neox_embed_in,embed_out)" ] || fail "$names: $(numbers "neox_$names")"
done
refused "names other tokens of embedding and head" "$tied" peft_ensure_weight_tying=true \
    'peft_trainable_token_indices={embed_tokens: [3], lm_head: [4]}'
# a run goes on from such an adapter, and a merged model differs from its base in those rows alone
got=$(trained further '[q_proj]' lora_model_dir=tokens/adapter)
[ "$(rows further)" = '"trainable_token_indices":[3,7,300],' ] || fail "further: $(rows further)"
base=$SOURCE/tests/golden/data/llama_gguf_q4_1/model.gguf
got=$(trained blocks '[q_proj]' "base_model=$base" 'peft_trainable_token_indices=[3, 7]')
expect_exit 0 "$LORIKEET" merge --model "$base" --adapter blocks/adapter --format gguf --out blocks.gguf
expect_exit 0 "$LORIKEET" generate --model blocks.gguf --prompt q --max-tokens 2

# adapters that begin as a part of the weight: written for the unchanged one, of twice the rank
got=$(trained pissa '[q_proj,v_proj]' init_lora_weights=pissa 'rank_pattern={q_proj: 3}' 'alpha_pattern={v_proj: 5}')
case $(config pissa) in
*'"r":4,"lora_alpha":64,'*'"rank_pattern":{"q_proj":6},"alpha_pattern":{"v_proj":10}'*'"init_lora_weights":true'*) ;;
*) fail "pissa: $(config pissa)" ;;
esac
expect_exit 0 "$LORIKEET" inspect pissa/adapter --tensors
grep -q '\[6, 64\] .*layers.0.self_attn.q_proj.lora_A' out || fail "no rank of 6: $(cat out)"
got=$(trained olora '[q_proj]' pissa_init=true "base_model=$base" export.adapter_gguf=true)
expect_exit 0 "$LORIKEET" generate --model "$base" --adapter olora/adapter --prompt q --max-tokens 2
refused "the adapter of lora_model_dir is where training begins" init_lora_weights=olora lora_model_dir=ranks/adapter
refused "DoRA begins with B = 0 only" init_lora_weights=olora peft_use_dora=true
refused "peft_init_lora_weights" init_lora_weights=corda
# what was taken out is found again when a run goes on: the same bits
steps='num_epochs=3 max_steps=3 save_steps=1 save_total_limit=3'
got=$(trained straight '[q_proj]' init_lora_weights=pissa_niter_4 $steps)
cp -r straight resumed
rm -r resumed/ckpt-00000003.safetensors resumed/adapter
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet --resume output_dir=resumed 'lora_target_modules=[q_proj]' \
    init_lora_weights=pissa_niter_4 $steps
cmp straight/adapter/adapter_model.safetensors resumed/adapter/adapter_model.safetensors || fail "a resumed run differs"
