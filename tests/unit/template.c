/* tests/unit/template.c -- the renderer where no reference is at hand: texts that jinja2 gives (the
 * peer test compares thousands), refusals by name and place, spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/template.h"

#include <string.h>

static const char values[] =
    "{\"s\": \"Hello\", \"u\": \"\xc3\xa4\xf0\x9f\x98\x80z\", \"i\": 7, \"f\": 1e-7, \"nil\": "
    "null, "
    "\"l\": [3, 1, 2], \"d\": {\"b\": 1, \"a\": [1.0, \"x\"]}, \"e\": \"\"}";

static const char *const ends[] = {"<|im_end|>", "</s>", "<|im_end|>!"};

static lrk_status render(const char *source, const char *context, lrk_rendered *out, lrk_err *err)
{
    lrk_template *t = NULL;
    lrk_json *c = NULL;
    const lrk_render_options o = {
        .now = "2026-03-01T12:34:56", .end_tokens = ends, .n_end_tokens = 3};
    *out = (lrk_rendered){.n_spans = 0};
    lrk_status s = lrk_json_parse(&c, context, strlen(context), "context", err);
    if (s == LRK_OK) s = lrk_template_compile(&t, source, strlen(source), "t", err);
    if (s == LRK_OK) s = lrk_template_render(t, c, &o, out, err);
    lrk_template_free(t);
    lrk_json_free(c);
    return s;
}

static void texts(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a\n", "a"},
        {"a\r\nb\r\n\n", "a\nb\n"},
        {"  {% if i %}\nx\n  {% endif %}\ny", "x\ny"},
        {"a  {%- if i -%}  b  {%- endif %}  c", "ab  c"},
        {"a {#- gone -#} b", "ab"},
        {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
        {"{{ 1 + 2 * 3 }}{{ -7 // 2 }}{{ -7 % 3 }}{{ 7 / 2 }}{{ 2 ** 10 }}", "7-423.51024"},
        {"{{ 1 < 2 < 3 }}{{ 'e' in s }}{{ 9 not in l }}{{ not e }}", "TrueTrueTrueTrue"},
        {"{{ u[0] }}{{ u[1] }}{{ u[::-1] }}{{ s[1:3] }}{{ l[::-1] }}",
         "\xc3\xa4\xf0\x9f\x98\x80z\xf0\x9f\x98\x80\xc3\xa4"
         "el[2, 1, 3]"},
        {"{{ nil }}{{ f }}{{ [1.0, 'a', true] }}{{ d }}{{ zz }}{{ (1,) }}",
         "None1e-07[1.0, 'a', True]{'b': 1, 'a': [1.0, 'x']}(1,)"},
        {"{{ d | tojson }}", "{\"b\": 1, \"a\": [1.0, \"x\"]}"},
        {"{{ d | tojson(indent=2) }}", "{\n  \"b\": 1,\n  \"a\": [\n    1.0,\n    \"x\"\n  ]\n}"},
        {"{% for x in l %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% endfor %}",
         "13,21,32"},
        {"{% for x in l if x > 1 %}{{ x }}{% endfor %}{% for x in [] %}{% else %}n{% endfor %}",
         "32n"},
        {"{% set n = namespace(k=0) %}{% for x in l %}{% set n.k = n.k + x %}{% endfor %}{{ n.k }}",
         "6"},
        {"{% set x = 1 %}{% for y in l %}{% set x = y %}{% endfor %}{{ x }}", "1"},
        {"{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(b=0, a=5) }}", "1250"},
        {"{% set x %}a{{ i }}{% endset %}{{ x | upper }}", "A7"},
        {"{% filter trim %}  x {% endfilter %}", "x"},
        {"{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "3"},
        {"{{ d.zz is defined }}{{ d.b is defined }}{{ zz | default('k') }}", "FalseTruek"},
        {"{{ ' a b '.split() }}{{ 'a.b.c'.split('.')[-1] }}{{ s.strip('Ho') }}", "['a', 'b']cell"},
        {"{{ ' a  b c '.split(none, 1) }}{{ ' a b  c '.rsplit(none, 1) }}", "['a', 'b c '][' a b', 'c']"},
        {"{{ strftime_now('%d %b %Y %H:%M') }}", "01 Mar 2026 12:34"},
        {"{{ l | map('string') | join('-') }}{{ l | select('odd') | list }}", "3-1-2[3, 1]"},
        {"{% if no is defined %}{{ 1 | from_json }}{% endif %}ok", "ok"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lrk_err err = {0};
        lrk_rendered out;
        if (render(rows[i][0], values, &out, &err) != LRK_OK)
            fail_msg("%s: %s", rows[i][0], err.text);
        assert_string_equal(out.text.data, rows[i][1]);
        lrk_rendered_free(&out);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *source, *message;
        lrk_status status;
    } rows[] = {
        {"a\n {{ 1 | pprint }}", "t:2:9: not supported: filter pprint", LRK_ESUPPORT},
        {"{% call m() %}{% endcall %}", "t:1:4: not supported: statement call", LRK_ESUPPORT},
        {"\xc3\xa4\xc3\xa4{{ s.zfill(3) }}", "t:1:7: not supported: str.zfill", LRK_ESUPPORT},
        {"{% for x in l recursive %}{% endfor %}", "t:1:15: not supported: recursive loops",
         LRK_ESUPPORT},
        {"{{ 9223372036854775807 + 1 }}", "not supported: integers beyond 64 bits", LRK_ESUPPORT},
        {"{{ lipsum() }}", "not supported", LRK_ESUPPORT},
        {"{{ l.append(1) }}", "'append' of 'list' object is unsafe", LRK_EINPUT},
        {"{{ zz.x }}", "t:1:6: 'zz' is undefined", LRK_EINPUT},
        {"{{ 'a' in nil }}", "argument of type 'NoneType' is not iterable", LRK_EINPUT},
        {"{{ 1 | from_json }}", "No filter named 'from_json'", LRK_EINPUT},
        {"{% if i %}", "expected elif", LRK_EINPUT},
        {"{{ 1 +", "a tag that does not end", LRK_EINPUT},
        {"{% break %}", "outside of a loop", LRK_EINPUT},
        {"{{ raise_exception('no ' ~ s) }}", "no Hello", LRK_EVALUE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lrk_err err = {0};
        lrk_rendered out;
        assert_int_equal(render(rows[i].source, values, &out, &err), rows[i].status);
        if (!strstr(err.text, rows[i].message))
            fail_msg("\"%s\" lacks \"%s\"", err.text, rows[i].message);
        assert_int_equal(out.text.n, 0);
    }
}

/* ---- spans ---- */

/* Every span as "role:text", kinds as c, e, g in front. */
static void spans_are(const char *source, const char *context, const char *want)
{
    lrk_err err = {0};
    lrk_rendered out;
    lrk_buf got = {0};
    if (render(source, context, &out, &err) != LRK_OK) fail_msg("%s: %s", source, err.text);
    for (size_t i = 0; i < out.n_spans; i++)
        lrk_buf_printf(&got, "%c%zu %s:%.*s|", "ceg"[out.spans[i].kind], out.spans[i].message,
                       out.spans[i].role, (int)(out.spans[i].end - out.spans[i].begin),
                       out.text.data + out.spans[i].begin);
    lrk_buf_append(&got, "", 0);
    assert_string_equal(got.n ? got.data : "", want);
    lrk_buf_free(&got);
    lrk_rendered_free(&out);
}

#define CHAT                                                                                       \
    "{\"messages\": [{\"role\": \"user\", \"content\": \" q </s> \"}, {\"role\": \"assistant\", "  \
    "\"content\": \"one <|im_end|> two\\n\"}, {\"role\": \"assistant\", \"content\": \"\"}]}"

static void words(void **state)
{
    (void)state;
    spans_are("{% for m in messages %}<{{ m.role }}>{{ m.content }}<|im_end|>\n{% endfor %}", CHAT,
              "c0 user: q </s> |e0 user:<|im_end|>|c1 assistant:one <|im_end|> two\n|"
              "e1 assistant:<|im_end|>|e2 assistant:<|im_end|>|");
    /* through filters, methods, slices, joins and macros; blanks in front of the end token */
    spans_are("{% macro p(x) %}[{{ x }}]{% endmacro %}{% for m in messages %}"
              "{{ p((m['content'] | trim)[1:].replace('w', 'W') ~ ' ') ~ '</s>' }}{% endfor %}",
              CHAT, "c0 user: </s>|c1 assistant:ne <|im_end|> tWo|");
    spans_are("{% for m in messages %}{{ '[' + m.content.strip() + ' </s>' }}{% endfor %}", CHAT,
              "c0 user:q </s>|e0 user: </s>|c1 assistant:one <|im_end|> two|e1 assistant: </s>|"
              "e2 assistant: </s>|");
    spans_are("{% for m in messages %}{{ m.content | upper }}|{% endfor %}", CHAT,
              "c0 user: Q </S> |c1 assistant:ONE <|IM_END|> TWO\n|");
    /* the longest end token; none where other text comes first */
    spans_are("{{ messages[1].content }}<|im_end|>!x{{ messages[0].content }}x</s>", CHAT,
              "c1 assistant:one <|im_end|> two\n|e1 assistant:<|im_end|>!|c0 user: q </s> |");
    /* what is not printed, or only asked about, has no span */
    spans_are("{{ messages[1].content | length }}{{ 'two' in messages[1].content }}</s>", CHAT, "");
    /* nothing in a message can make a span: the user's </s> ends no turn of the assistant */
    spans_are("{{ messages[1].content }}{{ messages[0].content }}", CHAT,
              "c1 assistant:one <|im_end|> two\n|c0 user: q </s> |");
}

static void parts(void **state)
{
    (void)state;
    /* thoughts and answer are one turn, with what the template puts between them */
    spans_are(
        "{% for m in messages %}<think>{{ m.reasoning_content }}</think>{{ m.content }}</s>"
        "{% endfor %}",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"A\", \"reasoning_content\": "
        "\"R\"}]}",
        "c0 assistant:R</think>A|e0 assistant:</s>|");
    spans_are("{% for m in messages %}{% set c = m.content.split('</think>') %}"
              "({{ c[0].split('<think>')[-1] }}|{{ c[-1] }})</s>{% endfor %}",
              "{\"messages\": [{\"role\": \"assistant\", \"content\": \"<think>R</think>A\"}]}",
              "c0 assistant:R|A|");
    spans_are(
        "{% for p in messages[0].content %}{% if p.type == 'text' %}{{ p.type }} {{ p.text }};"
        "{% endif %}{% endfor %}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"a\"}, {\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"b\"}]}]}",
        "c0 user:a;text b|");
    /* a tool call: the template closes brackets and tags before the end token */
    spans_are("{% for m in messages %}{{ m.content }}{% for c in m.tool_calls %}<call>"
              "{{ c.function | tojson }}</call>{% endfor %}<|im_end|>\n{% endfor %}",
              "{\"messages\": [{\"role\": \"assistant\", \"content\": \"W\", \"tool_calls\": "
              "[{\"function\": {\"name\": \"f\", \"arguments\": {\"x\": \"</s>y\"}}}]}]}",
              "c0 assistant:W<call>{\"name\": \"f\", \"arguments\": {\"x\": \"</s>y\"}}</call>|"
              "e0 assistant:<|im_end|>|");
}

/* Which field of which turn each byte is, after what templates do to it. */
static void fields(void **state)
{
    (void)state;
    static const char source[] = "{% for m in messages %}<{{ (m.reasoning_content ~ '/' ~ m.content)[:6] }}>"
                                 "{{ m.thought | default('') | upper }}{% for c in m.tool_calls %}"
                                 "{{ c.function | tojson }}{% endfor %}</s>{% endfor %}";
    static const char json[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\", \"thought\": \"x\"}, {\"role\": \"assistant\", "
        "\"content\": \"Yes\", \"reasoning_content\": \"hm\", \"tool_calls\": [{\"function\": {\"name\": \"f\"}}]}]}";
    lrk_rendered r;
    lrk_buf b = {.n = 0};
    lrk_err err = {.status = LRK_OK};
    if (render(source, json, &r, &err) != LRK_OK) fail_msg("%s", err.text);
    for (size_t i = 0; i < r.n_said; i++) {
        const lrk_said *s = &r.said[i];
        lrk_buf_printf(&b, "%zu %s ", s->message, lrk_said_name(s->field));
        lrk_buf_append(&b, r.text.data + s->begin, s->end - s->begin);
        lrk_buf_puts(&b, "|");
    }
    assert_string_equal(b.data, "0 content Hello|0 thinking X|1 thinking hm|1 content Yes|1 tool_calls f|");
    lrk_buf_free(&b);
    lrk_rendered_free(&r);
}

static void generations(void **state)
{
    (void)state;
    spans_are(
        "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}"
        "{{ m.content }}.</s>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}",
        CHAT, "c0 user: q </s> |g1 assistant:one <|im_end|> two\n.</s>|g2 assistant:.</s>|");
    spans_are("{% for m in messages %}{% generation %}<{% generation %}{{ m.content }}{% endgeneration %}>"
              "{% endgeneration %}{% endfor %}",
              "{\"messages\": [{\"role\": \"assistant\", \"content\": \"W\"}]}", "g0 assistant:<W>|");
}

static void limits(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_template *t;
    lrk_rendered out;
    const char *source = "{% for i in range(1000) %}{{ i }}{% endfor %}";
    lrk_json *c = lrk_json_object();
    assert_int_equal(lrk_template_compile(&t, source, strlen(source), "t", &err), LRK_OK);
    for (size_t steps = 1; steps < 3000; steps += 97) {
        err.status = LRK_OK;
        const lrk_render_options o = {.max_steps = steps};
        assert_int_equal(lrk_template_render(t, c, &o, &out, &err), LRK_ESUPPORT);
    }
    for (size_t bytes = 1; bytes < 60000; bytes = bytes * 3 + 7) {
        err.status = LRK_OK;
        const lrk_render_options o = {.max_bytes = bytes};
        assert_int_equal(lrk_template_render(t, c, &o, &out, &err), LRK_ESUPPORT);
    }
    assert_int_equal(lrk_template_render(t, c, NULL, &out, NULL), LRK_OK);
    assert_int_equal(out.text.n, 2890);
    lrk_rendered_free(&out);
    lrk_template_free(t);
    lrk_json_free(c);
}

/* Work that grows with the product of two texts counts as such. */
static void work_of_texts(void **state)
{
    (void)state;
    static const char *const sources[] = {"{{ ('a' * 131072).rfind('a' * 65536) }}",
                                          "{{ ('ab' * 65536).strip('ba' * 32768) }}",
                                          "{{ (('b' + 'a' * 9) * 1000).rsplit('b' + 'a' * 4096) | length }}",
                                          "{{ ('a' * 131072).rsplit('a' * 65535 + 'b') | length }}"};
    static const bool refused[] = {true, true, false, true};
    const lrk_render_options few = {.max_steps = 2000000};
    lrk_json *c = lrk_json_object();
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        lrk_err err = {0};
        lrk_template *t;
        lrk_rendered out = {0};
        assert_int_equal(lrk_template_compile(&t, sources[i], strlen(sources[i]), "t", &err), LRK_OK);
        const lrk_status s = lrk_template_render(t, c, &few, &out, &err);
        if ((s != LRK_OK) != refused[i]) fail_msg("%s: %s", sources[i], err.text);
        if (s == LRK_OK) lrk_rendered_free(&out);
        lrk_template_free(t);
    }
    lrk_json_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts), cmocka_unit_test(refusals),    cmocka_unit_test(words),
        cmocka_unit_test(parts), cmocka_unit_test(fields),      cmocka_unit_test(generations),
        cmocka_unit_test(limits),
        cmocka_unit_test(work_of_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
