# tests/cli/new_tokens.sh -- tokens that a recipe adds: rows for them are trained and nothing else of the embedding moves,
# every output has them, and what cannot be is refused. Beside PEFT and transformers: tests/peer/new_tokens.sh.
G=$SOURCE/tests/golden/data
printf '{"prompt": "how many <|query|> of ", "completion": "count <|pipe|> %s"}\n' 1 2 3 >rows.jsonl
cat >recipe.yaml <<YAML
base_model: $G/llama
datasets: [{path: rows.jsonl}]
tokens: ["<|query|>", "<|pipe|>"]
lora_r: 2
lora_target_modules: [q_proj]
max_steps: 3
save_steps: 2
learning_rate: 1e-2
compute_dtype: f32
YAML
train() { expect_exit 0 "$LORIKEET" train recipe.yaml --quiet "output_dir=$1" "${@:2}"; }
refused() { expect_error 2 "$1" "$LORIKEET" train recipe.yaml output_dir=x "${@:2}"; }
indices() { tr -d ' \n' <"$1/adapter_config.json" | grep -oE '"trainable_token_indices":(\[[^]]*\]|[^}]*)'; }
printf '["how many <|query|> of <|pipe|>"]' >texts.json
ids() { "$LORIKEET" tokenize --model "$1" --texts texts.json --no-special; }

expect_exit 0 "$LORIKEET" plan recipe.yaml
grep -q '2 tokens are new; the embedding of .* grows from 384 to 386 rows' err || fail "plan: $(cat err)"
expect_exit 0 "$LORIKEET" plan recipe.yaml 'tokens=[]' 'special_tokens={pad_token: "<padding>"}'
grep -q "'<padding>' is no token yet and becomes one" err && grep -q '1 token is new' err || fail "padding: $(cat err)"

train directory export.merged=true 'export.gguf=[f32]'
[ "$(indices directory/adapter)" = '"trainable_token_indices":{"embed_tokens":[384,385],"lm_head":[384,385]' ] ||
    fail "rows: $(indices directory/adapter)"
grep -q '"vocab_size": 386' directory/merged/config.json || fail "merged: $(cat directory/merged/config.json)"
"$LORIKEET" generate --model "$G/llama" --adapter directory/adapter --prompt 'how many <|query|>' --max-tokens 8 >answer
for form in merged merged-f32.gguf; do
    [ "$(ids directory/$form)" = "$(ids directory/adapter)" ] || fail "ids of $form"
    "$LORIKEET" generate --model directory/$form --prompt 'how many <|query|>' --max-tokens 8 | cmp - answer || fail "$form"
done
[ "$(ids directory/adapter)" != "$(ids "$G/llama")" ] || fail "no new ids"
expect_exit 0 "$LORIKEET" convert --model directory/merged-f32.gguf --out back # where it is not special either: shown
tr -d ' \n' <back/tokenizer.json | grep -q '"content":"<|query|>"[^}]*"special":false' || fail "special in GGUF"
expect_exit 0 "$LORIKEET" certify --model "$G/llama" --adapter directory/adapter --data rows.jsonl directory/merged

# eval asks the adapter in its own tokens: as many are trained as in the merged model, and the loss is its
scored() { # NAME, then of eval: trained tokens and loss
    expect_exit 0 "$LORIKEET" eval "${@:2}" --data rows.jsonl --max-tokens 4 --dtype f32 --json
    sed -n "/\"name\": \"$1\"/,/\"value\"/p" out | sed -nE 's/.*"(trained_tokens|value)": ([0-9]+(\.[0-9]{5})?).*/\2/p' | tr '\n' ' '
}
[ "$(scored tuned --model "$G/llama" --adapter directory/adapter)" = "$(scored base --model directory/merged)" ] ||
    fail "eval: $(scored tuned --model "$G/llama" --adapter directory/adapter), merged $(scored base --model directory/merged)"
expect_error 3 '`lorikeet merge --format ollama` makes a bundle of the whole model' \
    "$LORIKEET" export --adapter directory/adapter --base "$G/llama" --ollama bundle --from base
[ ! -e bundle ] || fail "half a bundle"
expect_exit 0 "$LORIKEET" export --adapter directory/adapter --base "$G/llama" --peft again
cmp directory/adapter/tokenizer.json again/tokenizer.json || fail "export: another tokenizer"
case $(indices again) in *'"lm_head":[384,385]'*) ;; *) fail "export: $(indices again)" ;; esac

# from a GGUF file, which has no generation_config.json: where texts end is said of what is merged all the same
train of_gguf base_model=directory/merged-f32.gguf 'tokens=["<|more|>"]' export.merged=true
grep -q '"eos_token_id"' of_gguf/merged/generation_config.json || fail "no ends: $(ls of_gguf/merged)"
refused 'tokens: an empty text is no token' 'tokens=[""]'

# said of the adapter and of all that is made of it
expect_exit 0 "$LORIKEET" convert --model back --out onward.gguf
for form in directory/adapter again directory/merged directory/merged-f32.gguf back onward.gguf; do
    expect_exit 0 "$LORIKEET" inspect $form
    grep -qF 'new tokens: 2, "<|query|>", "<|pipe|>"; vocabulary 384 -> 386' out || fail "not said of $form: $(cat out)"
done
for form in directory/adapter again directory/merged back; do
    grep -qF '| new tokens | 2 (\<\|query\|\>, \<\|pipe\|\>), vocabulary 384 -> 386 |' $form/README.md &&
        grep -qF '| trained rows | 2 of model.embed\_tokens, 2 of lm\_head |' $form/README.md || fail "card: $(cat $form/README.md)"
done
grep -q AutoPeftModelForCausalLM again/README.md && ! grep -q AutoPeft back/README.md || fail "how to load"

# stopped and resumed: the same bytes
rm -r directory/adapter directory/merged directory/merged-f32.gguf directory/ckpt-00000003.safetensors
expect_exit 0 "$LORIKEET" train recipe.yaml --quiet output_dir=directory export.merged=true 'export.gguf=[f32]' --resume
cmp directory/adapter/tokenizer.json again/tokenizer.json || fail "resumed: another tokenizer"
"$LORIKEET" generate --model "$G/llama" --adapter directory/adapter --prompt 'how many <|query|>' --max-tokens 8 | cmp - answer ||
    fail "resumed: another answer"

# from there on
sed '/^tokens/d; /^lora/d' recipe.yaml >more.yaml
expect_exit 0 "$LORIKEET" train more.yaml --quiet output_dir=more lora_model_dir=directory/adapter
case $(indices more/adapter) in *'"lm_head":[384,385]'*) ;; *) fail "lora_model_dir: $(indices more/adapter)" ;; esac
cmp directory/adapter/tokenizer.json more/adapter/tokenizer.json || fail "lora_model_dir: another tokenizer"
# and further: the vocabulary grows again, and the rows that were trained stay what they are where the rate is next to none
further() { expect_exit 0 "$LORIKEET" train more.yaml --quiet output_dir="$1" 'tokens=["<|third|>"]' learning_rate=1e-12 "${@:2}"; }
expect_exit 0 "$LORIKEET" plan more.yaml 'tokens=["<|third|>"]' lora_model_dir=directory/adapter
grep -q '1 token is new; the embedding of .* grows from 386 to 387 rows' err || fail "third: $(cat err)"
further third lora_model_dir=directory/adapter export.merged=true
case $(indices third/adapter) in
*'"embed_tokens":[384,385,386],"lm_head":[384,385,386]'*) ;;
*) fail "third: $(indices third/adapter)" ;;
esac
expect_exit 0 "$LORIKEET" inspect third/adapter
grep -qF 'new tokens: 3, "<|query|>", "<|pipe|>", "<|third|>"; vocabulary 384 -> 387' out || fail "third: $(cat out)"
"$LORIKEET" generate --model "$G/llama" --adapter third/adapter --prompt 'how many <|query|>' --max-tokens 8 | cmp - answer ||
    fail "third: another answer"
"$LORIKEET" generate --model third/merged --prompt 'how many <|query|>' --max-tokens 8 | cmp - answer || fail "third: merged"
printf '["<|third|><|query|>"]' >third.json
[ "$("$LORIKEET" tokenize --model third/merged --texts third.json --no-special | tr -d ' \n')" = '[[386,384]]' ] || fail "third: ids"
# of an adapter that has none, one that has all rows, and a merged base
train plain 'tokens=[]'
further plain_third lora_model_dir=plain/adapter
[ "$(indices plain_third/adapter)" = '"trainable_token_indices":{"embed_tokens":[384],"lm_head":[384]' ] ||
    fail "plain_third: $(indices plain_third/adapter)"
train all_rows 'lora_modules_to_save=[embed_tokens,lm_head]'
further all_third lora_model_dir=all_rows/adapter
! grep -q '"trainable_token_indices": [^n]' all_third/adapter/adapter_config.json || fail "all_third: $(indices all_third/adapter)"
"$LORIKEET" generate --model "$G/llama" --adapter all_rows/adapter --prompt 'how many <|query|>' --max-tokens 8 >want
"$LORIKEET" generate --model "$G/llama" --adapter all_third/adapter --prompt 'how many <|query|>' --max-tokens 8 | cmp - want ||
    fail "all_third: another answer"
train merged_third base_model=directory/merged 'tokens=["<|third|>"]' export.merged=true
case $(indices merged_third/adapter) in *'"lm_head":[386]'*) ;; *) fail "merged_third: $(indices merged_third/adapter)" ;; esac
grep -q '"vocab_size": 387' merged_third/merged/config.json || fail "merged_third: $(cat merged_third/merged/config.json)"
# a tied base: the rows of the embedding are the head's
mkdir tied_base
cp "$G/llama_tied/"{config.json,model.safetensors} "$G/llama_gguf_f32/tokenizer.json" tied_base
train tied base_model=tied_base
further tied_third base_model=tied_base lora_model_dir=tied/adapter export.merged=true
for form in "tied_base --adapter tied_third/adapter" tied_third/merged; do
    "$LORIKEET" generate --model ${form% --*} ${form#"${form% --*}"} --prompt 'how<|third|>' --max-tokens 8 >>tied_answers
done
[ "$(sort -u tied_answers | wc -l)" = 1 ] || fail "tied_third: merged, it answers otherwise: $(cat tied_answers)"
case $(indices tied_third/adapter) in *'"trainable_token_indices":[320,321,322]'*) ;; *) fail "tied_third: $(indices tied_third/adapter)" ;; esac

# a GGUF base, with blocks: its file and a directory of it
train gguf "base_model=$G/llama_gguf_f32/model.gguf" export.merged=true 'export.gguf=[q8_0]' 'special_tokens.eos_token=<|done|>'
[ "$(indices gguf/adapter)" = '"trainable_token_indices":{"embed_tokens":[320,321,322],"lm_head":[320,321,322]' ] || fail "$(indices gguf/adapter)"
for form in merged merged-q8_0.gguf; do [ "$(ids gguf/$form)" = "$(ids gguf/adapter)" ] || fail "ids of GGUF's $form"; done
grep -q '"eos_token": "<|done|>"' gguf/merged/tokenizer_config.json || fail "no new end: $(cat gguf/merged/tokenizer_config.json)"
end() { tr -d ' \n' <"$1" | grep -o '"eos_token_id":[^]a-z}]*'; } # serving programs look there, not at the tokenizer
[ "$(end gguf/merged/config.json)" = '"eos_token_id":320,"' ] || fail "config.json: $(end gguf/merged/config.json)"
[ "$(end gguf/merged/generation_config.json)" = '"eos_token_id":[320,313,316,319' ] || fail "ends: $(end gguf/merged/generation_config.json)"

# another text for a token that is there: the vocabulary stays as long as it is
reserved=378
train renamed 'tokens=[]' "added_tokens_overrides={$reserved: '<|query|>'}" export.merged=true
case $(indices renamed/adapter) in *"[$reserved]"*) ;; *) fail "renamed: $(indices renamed/adapter)" ;; esac
cmp "$G/llama/config.json" renamed/merged/config.json || fail "renamed: another config.json"
case $(ids renamed/merged) in *"$reserved"*) ;; *) fail "renamed: $(ids renamed/merged)" ;; esac

# a text that another one took the place of is a new token where it is asked for
expect_exit 0 "$LORIKEET" plan recipe.yaml "added_tokens_overrides={$reserved: '<|x|>'}" 'tokens=["<|start_header_id|>"]'
grep -q '2 tokens are new; .* from 384 to 385 rows' err || fail "replaced: $(cat err)"

# all of both trained: nothing is said of rows
train whole 'lora_modules_to_save=[embed_tokens,lm_head]' 'special_tokens.eos_token=<|done|>' export.merged=true
[ "$(end whole/merged/config.json)" = '"eos_token_id":384,"' ] || fail "config.json: $(end whole/merged/config.json)"
[ "$(end whole/merged/generation_config.json)" = '"eos_token_id":[384,380' ] || fail "ends: $(end whole/merged/generation_config.json)"
! grep -q trainable_token_indices whole/adapter/adapter_config.json || fail "whole: $(cat whole/adapter/adapter_config.json)"
"$LORIKEET" generate --model "$G/llama" --adapter whole/adapter --prompt 'how many <|query|>' --max-tokens 8 >out

# what the tokenizer has already changes nothing
train known 'tokens=["<|eot_id|>"]' 'special_tokens.pad_token=<|eot_id|>'
! grep -q trainable_token_indices known/adapter/adapter_config.json || fail "known: $(cat known/adapter/adapter_config.json)"

refused "special_tokens.bos_token: '<|x|>' is not what the tokenizer has" 'special_tokens.bos_token=<|x|>'
refused 'token 99999 is none of the added ones' "added_tokens_overrides={99999: '<|x|>'}"
refused "'<|eot_id|>' is token 380 already" "added_tokens_overrides={378: '<|eot_id|>'}"
expect_error 3 "eos_token: '<|eot_id|>' is not in the vocabulary" "$LORIKEET" train recipe.yaml output_dir=x \
    "added_tokens_overrides={380: '<|x|>'}"
refused 'a GGUF adapter cannot hold' export.adapter_gguf=true

# the tuned model alone is asked nothing through the base's tokenizer, which need not be there
mkdir mute && cp "$G/llama/"{config.json,model.safetensors} mute
printf '{"prompt": "a <|query|>", "completion": "b"}\n' >asked.jsonl
expect_exit 0 "$LORIKEET" eval --model mute --adapter directory/adapter --data asked.jsonl --max-new-tokens 2 --no-base --out alone.json
expect_exit 0 "$LORIKEET" eval --model "$G/llama" --adapter directory/adapter --data asked.jsonl --max-tokens 2 --out both.json
tuned() { sed -n '/"name": "tuned"/,/"groups"/p' "$1" | grep -v seconds; }
[ -n "$(tuned alone.json)" ] && [ "$(tuned alone.json)" = "$(tuned both.json)" ] || fail "alone: $(cat alone.json both.json)"

# a row as training saw it: the adapter's own tokenizer knows the token as one
printf '{"prompt": "a <|query|>", "completion": "b"}\n' >shown.jsonl
expect_exit 0 "$LORIKEET" data import shown.jsonl --out shown.h5
expect_exit 0 "$LORIKEET" data show shown.h5 --model "$G/llama" --adapter directory/adapter --tokens
grep -qE ' 384  +<\|query\|>$' out || fail "not one token: $(cat out)"
expect_exit 0 "$LORIKEET" data show shown.h5 --model "$G/llama" --tokens
! grep -qE ' 384 ' out || fail "the base knows the token: $(cat out)"
expect_error 3 'nowhere: no such directory' "$LORIKEET" data show shown.h5 --model "$G/llama" --adapter nowhere
expect_error 3 'shown.jsonl: is a file, expected a PEFT adapter directory; `lorikeet convert` makes one of a GGUF adapter' \
    "$LORIKEET" data show shown.h5 --model "$G/llama" --adapter shown.jsonl
expect_error 3 'directory: adapter_config.json is missing; did you mean directory/adapter?' \
    "$LORIKEET" data check shown.h5 --model "$G/llama" --adapter directory
expect_exit 0 "$LORIKEET" data check shown.h5 --model "$G/llama" --adapter directory/adapter
expect_error 2 '--adapter goes with --model' "$LORIKEET" data check shown.h5 --adapter directory/adapter
