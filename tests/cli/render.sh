# lorikeet render: exact bytes, spans, exit codes, messages.
r() { "$LORIKEET" render "$@"; }

cat >chat.jinja <<'X'
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
{%- endfor %}
X
printf '%s' '{"messages": [{"role": "user", "content": "Hi é"}, {"role": "assistant", "content": "Ho"}]}' >c.json
printf '<|im_start|>user\nHi é<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n' >want
r --template chat.jinja --context c.json >got 2>spans
cmp want got || fail "rendered bytes"
[ ! -s spans ] || fail "spans without --spans"
r --template chat.jinja --context c.json --spans >got 2>spans
cmp want got || fail "rendered bytes with --spans"
said='{"begin": 55, "end": 57, "message": 1, "role": "assistant", "field": "content"}'
[ "$(cat spans)" = '[{"begin": 55, "end": 67, "said": ['"$said"']}]' ] || fail "spans: $(cat spans)"
[ "$(tail -c +56 got | head -c 12)" = 'Ho<|im_end|>' ] || fail "the span's bytes"

# null is none, order of keys stays, nothing is added to a context
echo '{{ x }}|{{ y|tojson }}|{{ bos_token is defined }}|{{ tools is defined }}' >a.jinja
echo '{"x": null, "y": {"b": 1, "a": [1.0, "é</b>"]}}' >a.json
[ "$(r --template a.jinja --context a.json)" = 'None|{"b": 1, "a": [1.0, "é</b>"]}|False|False' ] ||
    fail "context as it stands"

# messages: the usual variables come with them
echo '[{"role": "user", "content": "q"}]' >m.json
echo '{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}' >a.jinja
[ "$(r --template a.jinja --messages m.json)" = TrueTrueFalse ] || fail "variables"
[ "$(r --template a.jinja --messages m.json --generation-prompt)" = TrueTrueTrue ] || fail "prompt"

# the clock
echo '{{ strftime_now("%d %b %Y, %A %H:%M:%S") }}' >a.jinja
[ "$(r --template a.jinja --context a.json --now 2026-03-01T12:34:56)" = '01 Mar 2026, Sunday 12:34:56' ] ||
    fail "clock"
expect_error 2 'expected a time like' "$LORIKEET" render --template a.jinja --context a.json --now soon
expect_error 2 'expected a time like' "$LORIKEET" render --template a.jinja --context a.json --now 2025-02-29T00:00:00

# a model's own template and tokens
model=$SOURCE/tests/golden/data/llama
[ "$(r --model "$model" --messages m.json)" = "$(printf '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>')" ] ||
    fail "a model's template"

# a template's own exception, what is not known, what is wrong
bad() { # TEMPLATE MESSAGE
    printf '%s' "$1" >bad.jinja
    expect_error 3 "$2" "$LORIKEET" render --template bad.jinja --context a.json
    [ ! -s out ] || fail "output of a failed rendering"
}
bad '{{ raise_exception("roles must alternate") }}' 'roles must alternate'
bad $'ab\n  {% include "x" %}' 'bad.jinja:2:6: not supported: statement include'
bad '{{ 1 | wordwrap }}' 'bad.jinja:1:8: not supported: filter wordwrap'
bad '{{ x.y.z }}' "has no attribute 'y'"
bad '{{ "a" + 1 }}' "unsupported operand type(s) for +: 'str' and 'int'"
bad '{% set r = range(9999) %}{% for i in r %}{% for j in r %}{% endfor %}{% endfor %}' 'templates that run longer'
bad '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}' 'recursion this deep'
bad '{% set ns = namespace(s="x") %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}' 'not supported: t'
bad $'\xff' 'not valid UTF-8'
bad '{% if x %}' 'bad.jinja:1:11: expected'

expect_error 2 'one of the two' "$LORIKEET" render --template a.jinja
expect_error 2 'one of the two' "$LORIKEET" render --context a.json
expect_error 3 'none.jinja' "$LORIKEET" render --template none.jinja --context a.json
echo '[1]' >list.json
expect_error 3 "list.json: expected an object: the template's variables" "$LORIKEET" render --template a.jinja --context list.json
expect_error 3 'expected an array of messages' "$LORIKEET" render --template a.jinja --messages a.json
expect_exit 0 "$LORIKEET" render --help
