/* generate/ollama_json.c -- a template for each kind of value, and, where lines are indented, for each depth: a Go
 * template has one argument, so that it cannot be told how deep it stands. */
#include "generate/ollama_json.h"

#include "base/json.h"

#include <string.h>

enum { DEEPEST = 10 };

/* indent 0: one line, and one template serves all depths. */
typedef struct style {
    int indent, depth;
} style;

static style deeper(style s)
{
    return (style){s.indent, s.indent ? s.depth + 1 : 0};
}

void lrk_go_constant(const char *text, size_t n, lrk_buf *out)
{
    if (!n) return;
    lrk_buf_puts(out, "{{ ");
    lrk_json_quote(out, text, n);
    lrk_buf_puts(out, " }}");
}

static void put(const char *text, lrk_buf *out)
{
    lrk_go_constant(text, strlen(text), out);
}

/* `before`, a new line as deep as s, `after`; as a literal of Go. */
static void put_line(const char *before, style s, const char *after, lrk_buf *out)
{
    lrk_buf_printf(out, "\"%s", before);
    if (s.indent) lrk_buf_printf(out, "\\n%*s", s.indent * s.depth, "");
    lrk_buf_printf(out, "%s\"", after);
}

/* The name that a template has at this depth. */
static void put_name(const char *name, style s, lrk_buf *out)
{
    if (s.indent)
        lrk_buf_printf(out, "\"%s%d\"", name, s.depth);
    else
        lrk_buf_printf(out, "\"%s\"", name);
}

static void put_call(const char *name, style s, const char *argument, lrk_buf *out)
{
    lrk_buf_puts(out, "{{ template ");
    put_name(name, s, out);
    lrk_buf_printf(out, " %s }}", argument);
}

/* Opens a container at s: $s is what stands before its next member. */
static void open(const char *bracket, style s, lrk_buf *out)
{
    put(bracket, out);
    lrk_buf_puts(out, "{{ $s := ");
    put_line("", deeper(s), "", out);
    lrk_buf_puts(out, " }}");
}

static void next(style s, lrk_buf *out)
{
    lrk_buf_puts(out, "{{ $s = ");
    put_line(s.indent ? "," : ", ", deeper(s), "", out);
    lrk_buf_puts(out, " }}");
}

/* One without members stays on its line. */
static void close_at(const char *bracket, style s, lrk_buf *out)
{
    if (s.indent) {
        lrk_buf_puts(out, "{{ if ne $s ");
        put_line("", deeper(s), "", out);
        lrk_buf_puts(out, " }}{{ ");
        put_line("", s, "", out);
        lrk_buf_puts(out, " }}{{ end }}");
    }
    put(bracket, out);
}

static void define(const char *name, style s, lrk_buf *out)
{
    lrk_buf_puts(out, "{{- define ");
    put_name(name, s, out);
    lrk_buf_puts(out, " }}");
}

static void end(lrk_buf *out)
{
    lrk_buf_puts(out, "{{ end }}\n");
}

/* One member of an open object: its template is called with .field. A value is there unless it is nil, what has a
 * type of its own unless it is empty. */
static void member(const char *key, const char *field, const char *name, style s, lrk_buf *out)
{
    if (strcmp(name, "value") == 0)
        lrk_buf_printf(out, "{{ if ne (printf \"%%T\" %s) \"<nil>\" }}{{ $s }}", field);
    else
        lrk_buf_printf(out, "{{ if %s }}{{ $s }}", field);
    lrk_buf_printf(out, "{{ \"\\\"%s\\\": \" }}", key);
    put_call(name, strcmp(name, "string") ? deeper(s) : (style){0, 0}, field, out);
    next(s, out);
    lrk_buf_puts(out, "{{ end }}");
}

/* Go writes <, >, & and two separators as \u and four digits, and older ones \b and \f as well. Pieces that have
 * nothing to escape are printed at once: calls nest one for each that has. */
static void put_strings(lrk_buf *out)
{
    static const char *const escapes[][2] = {{"\\\\u003c", "<"},      {"\\\\u003e", ">"},      {"\\\\u0026", "&"},
                                             {"\\\\u2028", "\\u2028"}, {"\\\\u2029", "\\u2029"}, {"\\\\u0008", "\\\\b"},
                                             {"\\\\u000c", "\\\\f"}};
    lrk_buf_puts(out, "{{- define \"escaped\" }}{{ if eq . \"\" }}"
                      "{{ else if and (ge (len .) 32) (eq (len (json (slice . 0 32))) 34) }}"
                      "{{ slice . 0 32 }}{{ template \"escaped\" (slice . 32) }}");
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        lrk_buf_printf(out,
                       "{{ else if and (ge (len .) 6) (eq (slice . 0 6) \"%s\") }}{{ \"%s\" }}"
                       "{{ template \"escaped\" (slice . 6) }}",
                       escapes[i][0], escapes[i][1]);
    lrk_buf_puts(out, "{{ else if eq (slice . 0 1) \"\\\\\" }}{{ slice . 0 2 }}{{ template \"escaped\" (slice . 2) }}"
                      "{{ else }}{{ slice . 0 1 }}{{ template \"escaped\" (slice . 1) }}{{ end }}{{ end }}\n"
                      "{{- define \"string\" }}{{ if eq (len (json .)) (len (printf \"\\\"%s\\\"\" .)) }}{{ json . }}"
                      "{{ else }}{{ template \"escaped\" (json .) }}{{ end }}{{ end }}\n");
}

static void put_value(style s, lrk_buf *out)
{
    define("value", s, out);
    lrk_buf_puts(out, "{{ $t := printf \"%T\" . }}{{ if eq $t \"string\" }}{{ template \"string\" . }}"
                      "{{ else if eq $t \"map[string]interface {}\" }}");
    put_call("object", s, ".", out);
    lrk_buf_puts(out, "{{ else if eq $t \"[]interface {}\" }}");
    put_call("list", s, ".", out);
    lrk_buf_puts(out, "{{ else }}{{ json . }}{{ end }}");
    end(out);
}

/* The template `name` of a map whose values `of` prints. */
static void put_map(const char *name, const char *of, style s, lrk_buf *out)
{
    define(name, s, out);
    open("{", s, out);
    lrk_buf_puts(out, "{{ range $k, $v := . }}{{ $s }}{{ template \"string\" $k }}{{ \": \" }}");
    put_call(of, deeper(s), "$v", out);
    next(s, out);
    lrk_buf_puts(out, "{{ end }}");
    close_at("}", s, out);
    end(out);
}

/* A list whose elements `of`, at the style inner, prints, called with `argument`. */
static void put_elements(const char *of, style inner, const char *argument, style s, lrk_buf *out)
{
    open("[", s, out);
    lrk_buf_puts(out, "{{ range . }}{{ $s }}");
    put_call(of, inner, argument, out);
    next(s, out);
    lrk_buf_puts(out, "{{ end }}");
    close_at("]", s, out);
}

/* The template `name` of such a list. */
static void put_array(const char *name, const char *of, style inner, style s, lrk_buf *out)
{
    define(name, s, out);
    put_elements(of, inner, ".", s, out);
    end(out);
}

/* "object" and "list" of values, "words" of texts. */
static void put_values(style s, lrk_buf *out)
{
    put_map("object", "value", s, out);
    put_array("list", "value", deeper(s), s, out);
    put_array("words", "string", (style){0, 0}, s, out);
}

/* "type", which is a text or several; "property", "properties" and the list of those that are alternatives. */
static void put_properties(style s, lrk_buf *out)
{
    define("type", s, out);
    lrk_buf_puts(out, "{{ if eq (len .) 1 }}{{ template \"string\" (index . 0) }}{{ else }}");
    put_call("words", s, ".", out);
    lrk_buf_puts(out, "{{ end }}");
    end(out);

    define("property", s, out);
    open("{", s, out);
    member("type", ".Type", "type", s, out);
    member("description", ".Description", "string", s, out);
    member("enum", ".Enum", "list", s, out);
    member("items", ".Items", "value", s, out);
    lrk_buf_puts(out, "{{ if .Properties }}{{ $s }}{{ \"\\\"properties\\\": \" }}");
    put_call("properties", deeper(s), ".Properties.ToMap", out);
    next(s, out);
    lrk_buf_puts(out, "{{ end }}");
    member("required", ".Required", "words", s, out);
    member("anyOf", ".AnyOf", "alternatives", s, out);
    close_at("}", s, out);
    end(out);

    put_map("properties", "property", s, out);
    put_array("alternatives", "property", deeper(s), s, out);
}

/* A member that is always there. */
static void put_key(const char *key, lrk_buf *out)
{
    lrk_buf_printf(out, "{{ $s }}{{ \"\\\"%s\\\": \" }}", key);
}

static void put_function(style s, lrk_buf *out)
{
    define("parameters", s, out);
    open("{", s, out);
    member("type", ".Type", "string", s, out);
    put_key("properties", out);
    put_call("properties", deeper(s), ".Properties", out);
    next(s, out);
    member("required", ".Required", "words", s, out);
    member("$defs", ".Defs", "value", s, out);
    member("items", ".Items", "value", s, out);
    close_at("}", s, out);
    end(out);

    define("function", s, out);
    open("{", s, out);
    member("name", ".Name", "string", s, out);
    member("description", ".Description", "string", s, out);
    put_key("parameters", out);
    put_call("parameters", deeper(s), ".Parameters", out);
    close_at("}", s, out);
    end(out);
}

static void put_tool(style s, lrk_buf *out)
{
    define("tool", s, out);
    open("{", s, out);
    member("type", ".Type", "string", s, out);
    put_key("function", out);
    put_call("function", deeper(s), ".Function", out);
    close_at("}", s, out);
    end(out);
}

/* Nothing deeper has members. */
static void put_bottom(style s, lrk_buf *out)
{
    static const char *const names[] = {"object",     "list",         "words",     "type",     "property",
                                        "properties", "alternatives", "parameters", "function", "tool"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        define(names[i], s, out);
        lrk_buf_puts(out, "{{ index \"a tool's schema is too deep\" 99 }}");
        end(out);
    }
    put_value(s, out);
}

static void put_list(const lrk_form *f, lrk_buf *out)
{
    const bool whole = f->tools == LRK_TOOLS_LIST || f->tools == LRK_TOOLS_EACH;
    const style s = {f->indent, 0};
    lrk_buf_puts(out, "{{- define \"tools\" }}");
    const char *of = whole ? "tool" : "function", *argument = whole ? "." : ".Function";
    if (f->tools == LRK_TOOLS_LIST || f->tools == LRK_TOOLS_FUNCTIONS) {
        put_elements(of, deeper(s), argument, s, out);
    } else {
        lrk_buf_puts(out, "{{ $s := \"\" }}{{ range . }}{{ $s }}");
        put_call(of, s, argument, out);
        lrk_buf_puts(out, "{{ $s = ");
        lrk_json_quote(out, f->separator.data ? f->separator.data : "", f->separator.n);
        lrk_buf_puts(out, " }}{{ end }}");
    }
    end(out);
}

void lrk_go_json(const lrk_form *f, lrk_buf *out)
{
    put_strings(out);
    put_value((style){0, 0}, out);
    put_values((style){0, 0}, out);
    if (!f->tools) return;
    style s = {f->indent, 0};
    do {
        if (s.indent) {
            put_value(s, out);
            put_values(s, out);
        }
        put_properties(s, out);
        put_function(s, out);
        put_tool(s, out);
        s = deeper(s);
    } while (s.depth && s.depth < DEEPEST);
    if (s.depth) put_bottom(s, out);
    put_list(f, out);
}
