# tests/peer/ollama.sh -- Go's text/template makes the text of the chat template that was trained with: one
# template in the manner of each family, and real ones (.texts, by fetch_texts) beside jinja2 set up as transformers
# does, whose LRK_PEER_PYTHON names a Python. LRK_TEXTS names another folder than .texts.
G=$SOURCE/tests/golden/data
BOS='<|begin_of_text|>'
command -v go >/dev/null || skip "go is not here (Debian package golang-go)"
export HOME=$PWD GOCACHE=$PWD/cache GO111MODULE=off # and no flag: Debian has the library compiled
go build -o ollama "$SOURCE/tests/peer/ollama.go"

# bundle NAME: the Modelfile of the llama of the golden directory with the chat template of m
mkdir m
cp "$G/llama/config.json" "$G/llama/model.safetensors" "$G/llama/tokenizer.json" m
printf '{"bos_token": "%s", "eos_token": "<|eot_id|>"}' "$BOS" >m/tokenizer_config.json
bundle() {
    rm -rf b
    "$LORIKEET" merge --model m --out b --format ollama --threads 1 >out 2>err || return 1
    cp b/Modelfile "$1"
}

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
family[dated]='{% if messages[0].role != "system" %}{{ "system: " + strftime_now("%d %b %Y, %B, %Y-%m-%d") + " 2001-02-03\n" }}{% endif %}'${family[chatml]}
family[once]='{% for m in messages %}{% if m.role == "system" and not loop.first and messages[0].role == "system" %}{{ raise_exception("one system message") }}{% endif %}{% endfor %}'${family[chatml]}
family[late]='{% set s = messages[0].content if messages[0].role == "system" %}{% for m in messages %}{% if m.role == "user" %}{{ "[INST]" + (s.strip() + "\n\n" if loop.last and s else "") + m.content.lstrip("\n") + "[/INST]" }}{% elif m.role == "assistant" %}{{ m.content.rstrip() + eos_token }}{% elif not loop.first %}{{ raise_exception("no") }}{% endif %}{% endfor %}'

u='{"role": "user", "content": "Grüße,\n {{ .Role }} \"x\" \\\\ <|im_end|>?"}'
a='{"role": "assistant", "content": "\u3000Ja.\n\n"}' s='{"role": "system", "content": "\n Be brief & kind.\u00a0"}'
for name in "${!family[@]}"; do
    printf '%s' "${family[$name]}" >m/chat_template.jinja
    bundle "$name" || fail "$name: $(cat err)"
    n=0
    for talk in "$u" "$s, $u" "$u, $a, $u" "$s, $u, $a, $u" "$u, $a, $u, $a, $u" "$u, $a, $s, $u" "$u, $s, $u" "$s, $u, $a, $s, $u"; do
        n=$((n + 1))
        echo "[$talk]" >$n.json
        printf '%s\t%s\t%s' "$name" $n.json "$name.$n" >>jobs
        # nothing shows the renderer what a conversation's middle may be
        case $n in [678]) printf '\tmay' >>jobs ;; esac
        echo >>jobs
        "$LORIKEET" render --model m --messages $n.json --generation-prompt --now 2026-03-07T08:09:10 >want 2>err || continue
        # Ollama's tokenizer puts bos in front itself
        case $(head -c ${#BOS} want) in
        "$BOS") tail -c +$((${#BOS} + 1)) want >"$name.$n" ;;
        *) cp want "$name.$n" ;;
        esac
    done
done
./ollama 2026-03-07 jobs >same || fail "$(cat same)"
cat same
[ "$(cut -d ' ' -f 1 same)" -ge 50 ] || fail "too few"
for role in tool developer; do
    echo "[$u, {\"role\": \"$role\", \"content\": \"x\"}]" >other.json
    printf 'chatml\tother.json\tnone\n' >>other
done
./ollama 2026-03-07 other >same || fail "$(cat same)"

# ---- tools, calls and thoughts, in the manner of Qwen 3 and of Llama 3.1 ----
qwen3='{% if tools %}{{ "<|im_start|>system\n" }}{% if messages[0].role == "system" %}{{ messages[0].content + "\n\n" }}{% endif %}{{ "<tools>" }}{% for tool in tools %}{{ "\n" + tool | tojson }}{% endfor %}{{ "\n</tools><|im_end|>\n" }}{% elif messages[0].role == "system" %}{{ "<|im_start|>system\n" + messages[0].content + "<|im_end|>\n" }}{% endif %}{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == "user" %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}{% if m.role == "user" %}{{ "<|im_start|>user\n" + m.content + "<|im_end|>\n" }}{% elif m.role == "assistant" %}{{ "<|im_start|>assistant\n" }}{% if m.reasoning_content and loop.index0 > ns.last %}{{ "<think>\n" + m.reasoning_content.strip("\n") + "\n</think>\n\n" + m.content.lstrip("\n") }}{% else %}{{ m.content }}{% endif %}{% for c in m.tool_calls %}{% if m.content or not loop.first %}{{ "\n" }}{% endif %}{{ "<tool_call>\n{\"name\": \"" + c.function.name + "\", \"arguments\": " + c.function.arguments | tojson + "}\n</tool_call>" }}{% endfor %}{{ "<|im_end|>\n" }}{% elif m.role == "tool" %}{% if messages[loop.index0 - 1].role != "tool" %}{{ "<|im_start|>user" }}{% endif %}{{ "\n<tool_response>\n" + m.content + "\n</tool_response>" }}{% if loop.last or messages[loop.index0 + 1].role != "tool" %}{{ "<|im_end|>\n" }}{% endif %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "<|im_start|>assistant\n" }}{% if enable_thinking is defined and not enable_thinking %}{{ "<think>\n\n</think>\n\n" }}{% endif %}{% endif %}'
llama31='{{ bos_token + "<|system|>" }}{% if messages[0].role == "system" %}{% set rest = messages[1:] %}{{ messages[0].content | trim }}{% else %}{% set rest = messages %}{% endif %}{{ "<|eot_id|>" }}{% for m in rest %}{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}{{ raise_exception("one") }}{% endif %}{{ "<|assistant|>{\"name\": \"" + m.tool_calls[0].function.name + "\", \"parameters\": " + m.tool_calls[0].function.arguments | tojson + "}<|eot_id|>" }}{% elif m.role == "tool" %}{{ "<|ipython|>" + m.content | tojson + "<|eot_id|>" }}{% else %}{{ "<|" + m.role + "|>" + (tools | tojson(indent=4) + "\n\n" if tools and loop.first else "") + m.content | trim + "<|eot_id|>" }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "<|assistant|>" }}{% endif %}'
ids='{% for m in messages %}{{ "<|" + m.role + "|>" + m.content + (tools[0].function.name if tools else "") + (m.reasoning_content[:2] if m.reasoning_content else "") }}{% for c in m.tool_calls %}{{ c.function.name + c.id + c.function.arguments | tojson }}{% endfor %}{{ "<|eot_id|>" }}{% endfor %}{% if add_generation_prompt %}{{ "<|assistant|>" }}{% endif %}'
c='{"role": "assistant", "content": "", "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": {"a": "<b> & \"ä\"", "n": [1, 0.5, null, {}]}}}]}'
d='{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {}}}, {"type": "function", "function": {"name": "g", "arguments": {"a": {"b": []}}}}]}'
b=${c/'"content": ""'/'"content": "\nLet me see."'}
h='{"role": "assistant", "content": "\nJa.", "reasoning_content": "\nso\n", "thinking": "\nso\n"}'
k=${c/'{'/'{"reasoning_content": "hm & <so>\n", "thinking": "hm & <so>\n", '}
r='{"role": "tool", "content": "{\"t\": \"<20>\"}\n"}'
one='{"type": "function", "function": {"name": "f", "description": "Does <this> & \"that\"", "parameters": {"type": "object", "properties": {"a": {"type": "string", "enum": ["x", "ü"]}, "n": {"type": ["array", "null"], "items": {}}}, "required": ["a"]}}}'
two='{"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}'
for name in qwen3 llama31 ids; do
    printf '%s' "${!name}" >m/chat_template.jinja
    bundle "$name" || fail "$name: $(cat err)"
    n=0
    for talk in "$u" "$s, $u" "$u, $a, $u" "$u, $h, $u" "$u, $c, $r" "$s, $u, $c, $r" "$u, $b, $r" "$u, $k, $r" "$u, $d, $r, $r" \
        "$u, $c, $r, $a, $u" "$s, $u, $k, $r, $h, $u" "$u, $c, $r, $k, $r" "$u, $a, $u, $k, $r, $b, $r"; do
        for tools in '' "$one" "$one, $two"; do
            n=$((n + 1))
            echo "{\"messages\": [$talk]${tools:+, \"tools\": [$tools]}}" >$name.$n.json
            printf '%s\t%s\t%s' $name $name.$n.json $name.$n >>calls
            [ $name != ids ] || printf '\tmay' >>calls
            echo >>calls
            "$LORIKEET" render --model m --messages $name.$n.json --generation-prompt >want 2>err || continue
            case $(head -c ${#BOS} want) in
            "$BOS") tail -c +$((${#BOS} + 1)) want >$name.$n ;;
            *) cp want $name.$n ;;
            esac
        done
    done
done
# where thinking is switched off, answers begin behind it
printf '%s' "$qwen3" >m/chat_template.jinja
echo "{\"messages\": [$u], \"enable_thinking\": false}" >quiet.json
"$LORIKEET" render --model m --messages quiet.json --generation-prompt >quiet
echo "{\"messages\": [$u], \"think\": false}" >quiet.json
printf 'qwen3\tquiet.json\tquiet\n' >>calls
./ollama 2026-03-07 calls >same || fail "$(cat same)"
cat same
[ "$(cut -d ' ' -f 1 same)" -ge 78 ] || fail "too few"
# what Ollama reads off a template: how calls begin, and what stands around thoughts
[ "$(./ollama qwen3)" = '"<tool_call>\n{\"name\": \"" "<think>" "</think>"' ] || fail "$(./ollama qwen3)"
[ "$(./ollama ids)" = '"" "" ""' ] || fail "$(./ollama ids)"

# ---- real templates ----
texts=${LRK_TEXTS:-$SOURCE/.texts}
python=${LRK_PEER_PYTHON:-$SOURCE/.venv/bin/python}
[ -d "$texts/templates" ] || { echo "real templates: skipped, no $texts/templates; tests/peer/setup gets them" && exit 0; }
"$python" -c 'import jinja2' 2>/dev/null || { echo "real templates: skipped, no Python with jinja2; tests/peer/setup gets it" && exit 0; }
mkdir real
for file in "$texts"/templates/*.jinja; do
    name=$(basename "$file" .jinja)
    cp "$file" m/chat_template.jinja
    bundle "real/$name" && continue
    echo "$name: $(cat err)"
    case $name in # more than fixed pieces, or nothing at all without tools
    CohereForAI-c4ai-command-r-plus-tool_use | LFM2.5-8B-A1B | NousResearch-* | fireworks-* | poolside-*) ;;
    *) fail "refused" ;;
    esac
done
"$python" "$SOURCE/tests/peer/ollama.py" "$texts/templates" real "$BOS" >jobs || fail "no texts"
./ollama 2026-03-01 jobs >same || fail "$(cat same)"
cat same
[ "$(cut -d ' ' -f 1 same)" -ge 1900 ] || fail "too few"
