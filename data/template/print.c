/* data/template/print.c -- values as text: Python's str() and repr(), and json.dumps(). */
#include "base/text.h"
#include "data/template/text.h"
#include "data/template/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lrk_status deeper(lrk_jrun *r)
{
    if (++r->depth > LRK_J_MAX_DEPTH) return lrk_j_fail(r, LRK_ESUPPORT, "values nested so deep");
    return LRK_OK;
}

static lrk_status put_number(lrk_jrun *r, lrk_jout *o, lrk_jvalue v)
{
    char text[40];
    if (v.kind == LRK_JV_REAL) {
        lrk_real_text(v.as.real, text);
    } else {
        snprintf(text, sizeof text, "%" PRId64, v.as.integer);
    }
    return lrk_j_puts(r, o, text);
}

static lrk_status put_repr_str(lrk_jrun *r, lrk_jout *o, const lrk_jstr *s)
{
    const bool single = memchr(s->s, '\'', s->n) != NULL, twice = memchr(s->s, '"', s->n) != NULL;
    const char quote = single && !twice ? '"' : '\'';
    LRK_TRY(lrk_j_put(r, o, &quote, 1, 0));
    size_t width;
    for (size_t i = 0; i < s->n; i += width) {
        const uint32_t c = lrk_j_decode(s->s, s->n, i, &width);
        char text[12];
        if (c == (uint32_t)quote || c == '\\') {
            snprintf(text, sizeof text, "\\%c", (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            snprintf(text, sizeof text, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        } else if (lrk_j_printable(c)) {
            LRK_TRY(lrk_j_put_part(r, o, s, i, i + width));
            continue;
        } else {
            snprintf(text, sizeof text,
                     c < 0x100     ? "\\x%02x"
                     : c < 0x10000 ? "\\u%04x"
                                   : "\\U%08x",
                     (unsigned)c);
        }
        LRK_TRY(lrk_j_put(r, o, text, strlen(text), lrk_j_origin_at(s, i)));
    }
    return lrk_j_put(r, o, &quote, 1, 0);
}

static lrk_status put_repr_seq(lrk_jrun *r, lrk_jout *o, const lrk_jseq *s, bool tuple)
{
    LRK_TRY(lrk_j_puts(r, o, tuple ? "(" : "["));
    for (size_t i = 0; i < s->n; i++) {
        if (i) LRK_TRY(lrk_j_puts(r, o, ", "));
        LRK_TRY(lrk_j_put_repr(r, o, s->items[i]));
    }
    return lrk_j_puts(r, o, tuple ? s->n == 1 ? ",)" : ")" : "]");
}

static lrk_status put_repr_dict(lrk_jrun *r, lrk_jout *o, const lrk_jdict *d)
{
    LRK_TRY(lrk_j_puts(r, o, "{"));
    for (size_t i = 0; i < d->n; i++) {
        if (i) LRK_TRY(lrk_j_puts(r, o, ", "));
        LRK_TRY(lrk_j_put_repr(r, o, d->pairs[i].key));
        LRK_TRY(lrk_j_puts(r, o, ": "));
        LRK_TRY(lrk_j_put_repr(r, o, d->pairs[i].value));
    }
    return lrk_j_puts(r, o, "}");
}

lrk_status lrk_j_put_repr(lrk_jrun *r, lrk_jout *o, lrk_jvalue v)
{
    LRK_TRY(deeper(r));
    lrk_status s = LRK_OK;
    switch (v.kind) {
    case LRK_JV_NONE:
        s = lrk_j_puts(r, o, "None");
        break;
    case LRK_JV_UNDEFINED:
        s = lrk_j_puts(r, o, "Undefined");
        break;
    case LRK_JV_BOOL:
        s = lrk_j_puts(r, o, v.as.boolean ? "True" : "False");
        break;
    case LRK_JV_INT:
    case LRK_JV_REAL:
        s = put_number(r, o, v);
        break;
    case LRK_JV_STR:
        s = v.as.str->safe ? lrk_j_fail(r, LRK_ESUPPORT, "the repr of text that went through |safe")
                           : put_repr_str(r, o, v.as.str);
        break;
    case LRK_JV_LIST:
    case LRK_JV_TUPLE:
        s = put_repr_seq(r, o, v.as.seq, v.kind == LRK_JV_TUPLE);
        break;
    case LRK_JV_DICT:
        s = put_repr_dict(r, o, v.as.dict);
        break;
    default:
        s = lrk_j_fail(r, LRK_ESUPPORT, "printing a value of type '%s'", lrk_j_type(v));
    }
    r->depth--;
    return s;
}

lrk_status lrk_j_put_value(lrk_jrun *r, lrk_jout *o, lrk_jvalue v)
{
    if (v.kind == LRK_JV_STR) return lrk_j_put_str(r, o, v.as.str);
    if (v.kind == LRK_JV_UNDEFINED) return LRK_OK;
    return lrk_j_put_repr(r, o, v);
}

lrk_status lrk_j_to_str(lrk_jrun *r, lrk_jvalue v, lrk_jvalue *out)
{
    if (v.kind == LRK_JV_STR && !v.as.str->safe) {
        *out = v;
        return LRK_OK;
    }
    lrk_jout o = {0};
    LRK_TRY(lrk_j_put_value(r, &o, v));
    return lrk_j_finish(r, &o, out);
}

/* ---- JSON ---- */

static lrk_status put_json_str(lrk_jrun *r, lrk_jout *o, const lrk_jstr *s, bool ascii)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    size_t width;
    LRK_TRY(lrk_j_puts(r, o, "\""));
    for (size_t i = 0; i < s->n; i += width) {
        const uint32_t c = lrk_j_decode(s->s, s->n, i, &width);
        const char *special = c && c < 0x80 ? strchr(from, (char)c) : NULL;
        char text[16];
        if (special) {
            snprintf(text, sizeof text, "\\%c", to[special - from]);
        } else if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000)) {
            snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
        } else if (ascii && c >= 0x10000) {
            snprintf(text, sizeof text, "\\u%04x\\u%04x",
                     (unsigned)(0xD800 + ((c - 0x10000) >> 10)),
                     (unsigned)(0xDC00 + ((c - 0x10000) & 0x3FF)));
        } else {
            LRK_TRY(lrk_j_put_part(r, o, s, i, i + width));
            continue;
        }
        LRK_TRY(lrk_j_put(r, o, text, strlen(text), lrk_j_origin_at(s, i)));
    }
    return lrk_j_puts(r, o, "\"");
}

static lrk_status put_scalar(lrk_jrun *r, lrk_jout *o, lrk_jvalue v, bool ascii)
{
    switch (v.kind) {
    case LRK_JV_STR:
        return put_json_str(r, o, v.as.str, ascii);
    case LRK_JV_NONE:
        return lrk_j_puts(r, o, "null");
    case LRK_JV_BOOL:
        return lrk_j_puts(r, o, v.as.boolean ? "true" : "false");
    case LRK_JV_REAL:
        if (!isfinite(v.as.real))
            return lrk_j_puts(r, o,
                              isnan(v.as.real) ? "NaN"
                              : v.as.real < 0  ? "-Infinity"
                                               : "Infinity");
        return put_number(r, o, v);
    case LRK_JV_INT:
        return put_number(r, o, v);
    default:
        return lrk_j_fail(r, LRK_EINPUT, "Object of type %s is not JSON serializable",
                          lrk_j_type(v));
    }
}

static lrk_status new_line(lrk_jrun *r, lrk_jout *o, const lrk_jjson *f, size_t level)
{
    if (!f->lines) return LRK_OK;
    LRK_TRY(lrk_j_puts(r, o, "\n"));
    for (size_t i = 0; i < level; i++) LRK_TRY(lrk_j_put(r, o, f->indent, f->indent_n, 0));
    return LRK_OK;
}

/* Keys that are not strings are printed as JSON prints the value, in quotes. */
static lrk_status put_key(lrk_jrun *r, lrk_jout *o, lrk_jvalue key, const lrk_jjson *f)
{
    if (key.kind == LRK_JV_STR) return put_json_str(r, o, key.as.str, f->ascii);
    if (key.kind == LRK_JV_TUPLE || key.kind > LRK_JV_STR)
        return lrk_j_fail(r, LRK_EINPUT, "keys must be str, int, float, bool or None, not %s",
                          lrk_j_type(key));
    LRK_TRY(lrk_j_puts(r, o, "\""));
    LRK_TRY(put_scalar(r, o, key, f->ascii));
    return lrk_j_puts(r, o, "\"");
}

static lrk_status put_json_dict(lrk_jrun *r, lrk_jout *o, const lrk_jdict *d, const lrk_jjson *f,
                                size_t level)
{
    lrk_jseq pairs = {0};
    lrk_jvalue *keys = NULL;
    if (!d->n) return lrk_j_puts(r, o, "{}");
    for (size_t i = 0; i < d->n; i++) {
        lrk_jvalue pair;
        LRK_TRY(lrk_j_pair(r, d->pairs[i].key, d->pairs[i].value, &pair));
        LRK_TRY(lrk_j_append(r, &pairs, pair));
    }
    if (f->sort) {
        LRK_TRY(lrk_j_take(r, d->n, sizeof *keys, &keys));
        for (size_t i = 0; i < d->n; i++) keys[i] = d->pairs[i].key;
        LRK_TRY(lrk_j_sort(r, &pairs, keys, false));
    }
    LRK_TRY(lrk_j_puts(r, o, "{"));
    for (size_t i = 0; i < pairs.n; i++) {
        const lrk_jvalue *pair = pairs.items[i].as.seq->items;
        if (i) LRK_TRY(lrk_j_puts(r, o, f->item));
        LRK_TRY(new_line(r, o, f, level + 1));
        LRK_TRY(put_key(r, o, pair[0], f));
        LRK_TRY(lrk_j_puts(r, o, f->key));
        LRK_TRY(lrk_j_put_json(r, o, pair[1], f, level + 1));
    }
    LRK_TRY(new_line(r, o, f, level));
    return lrk_j_puts(r, o, "}");
}

lrk_status lrk_j_put_json(lrk_jrun *r, lrk_jout *o, lrk_jvalue v, const lrk_jjson *f, size_t level)
{
    if (v.kind != LRK_JV_DICT && v.kind != LRK_JV_LIST && v.kind != LRK_JV_TUPLE)
        return put_scalar(r, o, v, f->ascii);
    LRK_TRY(deeper(r));
    if (v.kind == LRK_JV_DICT) {
        LRK_TRY(put_json_dict(r, o, v.as.dict, f, level));
    } else if (!v.as.seq->n) {
        LRK_TRY(lrk_j_puts(r, o, "[]"));
    } else {
        LRK_TRY(lrk_j_puts(r, o, "["));
        for (size_t i = 0; i < v.as.seq->n; i++) {
            if (i) LRK_TRY(lrk_j_puts(r, o, f->item));
            LRK_TRY(new_line(r, o, f, level + 1));
            LRK_TRY(lrk_j_put_json(r, o, v.as.seq->items[i], f, level + 1));
        }
        LRK_TRY(new_line(r, o, f, level));
        LRK_TRY(lrk_j_puts(r, o, "]"));
    }
    r->depth--;
    return LRK_OK;
}
