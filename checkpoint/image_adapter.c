/* checkpoint/image_adapter.c -- a LoRA file of an image model, module by module. */
#include "checkpoint/image_adapter.h"

#include "base/quant.h"
#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 1 << 28 }; /* of a convolution */

typedef enum role { DOWN, UP, MID, ALPHA, ROLES } role;

static const struct {
    const char *text;
    role role;
    bool processor; /* ".processor.to_q" is the module ".to_q" */
} endings[] = {
    {".lora_down.weight", DOWN, false},
    {".lora_up.weight", UP, false},
    {".lora_mid.weight", MID, false},
    {".alpha", ALPHA, false},
    {".lora_A.weight", DOWN, false},
    {".lora_B.weight", UP, false},
    {".lora_linear_layer.down.weight", DOWN, false},
    {".lora_linear_layer.up.weight", UP, false},
    {".lora.down.weight", DOWN, false},
    {".lora.up.weight", UP, false},
    {"_lora.down.weight", DOWN, true},
    {"_lora.up.weight", UP, true},
};

/* A tensor of the file, and what it is. */
typedef struct piece {
    const lrk_st_entry *entry;
    const char *module; /* its name in the file */
    const char *flat;
    lrk_image_part part;
    role role;
} piece;

/* alpha of the parts, from metadata; 0: not said. */
typedef struct settings {
    double alpha[LRK_IMAGE_PARTS];
    bool rslora[LRK_IMAGE_PARTS];
} settings;

/* "unet.x.attn1.processor.to_out" is "unet.x.attn1.to_out.0". */
static void without_processor(char *name)
{
    static const char middle[] = ".processor.";
    char *at = strstr(name, middle);
    if (!at) return;
    memmove(at + 1, at + sizeof middle - 1, strlen(at + sizeof middle - 1) + 1);
    if (strcmp(at, ".to_out") == 0) strcat(at, ".0"); /* shorter than what was taken out */
}

static lrk_status parse_key(lrk_image_adapter *a, const lrk_safetensors *s, const lrk_st_entry *e, piece *p,
                            lrk_err *err)
{
    char flat[LRK_FLAT_MAX];
    const size_t n = strlen(e->name);
    LRK_REQUIRE(err, strncmp(e->name, "base_model.model.", 17) != 0, LRK_ESUPPORT,
                "%s: an adapter of PEFT, which keeps alpha in adapter_config.json; save it with diffusers' "
                "save_lora_weights",
                s->path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t k = strlen(endings[i].text);
        if (n <= k || strcmp(e->name + n - k, endings[i].text) != 0) continue;
        char *module = lrk_strdup(&a->arena, e->name);
        LRK_REQUIRE(err, module, LRK_ENOMEM, "memory: no room for names of modules");
        module[n - k] = '\0';
        if (endings[i].processor) without_processor(module);
        LRK_REQUIRE(err, lrk_image_flat(module, strlen(module), true, &p->part, flat), LRK_EINPUT,
                    "%s: the name '%s' is too long", s->path, e->name);
        p->entry = e;
        p->module = module;
        p->flat = lrk_strdup(&a->arena, flat);
        p->role = endings[i].role;
        LRK_REQUIRE(err, p->flat, LRK_ENOMEM, "memory: no room for names of modules");
        return LRK_OK;
    }
    return lrk_fail(err, LRK_ESUPPORT,
                    "%s: tensor '%s' is no part of a LoRA that can be merged here (lora_down, lora_up, lora_mid, "
                    "alpha; lora_A, lora_B)",
                    s->path, e->name);
}

static int by_module(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    const int order = strcmp(x->flat, y->flat);
    return order ? order : (int)x->role - (int)y->role;
}

/* A copy in f32, as (rows, the rest). */
static lrk_status to_matrix(lrk_image_adapter *a, const lrk_safetensors *s, const lrk_st_entry *e, lrk_tensor *out,
                            lrk_err *err)
{
    lrk_tensor t;
    void *copy;
    LRK_TRY(lrk_st_view(s, e, &t, err));
    LRK_REQUIRE(err, t.dtype == LRK_F32 || t.dtype == LRK_F16 || t.dtype == LRK_BF16, LRK_ESUPPORT,
                "%s: tensor '%s' is %s; expected F32, F16 or BF16", s->path, e->name, e->type);
    const size_t n = lrk_count(&t), rows = t.rank ? t.dim[0] : 1;
    LRK_REQUIRE(err, n, LRK_EINPUT, "%s: tensor '%s' is empty", s->path, e->name);
    LRK_TRY(lrk_alloc(&a->arena, lrk_bytes(&t), 1, e->name, &copy, err));
    memcpy(copy, t.data, lrk_bytes(&t)); /* which may lie at any address */
    *out = lrk_mat(LRK_F32, rows, n / rows);
    out->name = lrk_strdup(&a->arena, e->name);
    LRK_REQUIRE(err, out->name, LRK_ENOMEM, "memory: no room for names of tensors");
    LRK_TRY(lrk_alloc(&a->arena, n, sizeof(float), e->name, &out->data, err));
    lrk_to_f32(t.dtype, copy, n, out->data);
    const lrk_status status = lrk_weights_check_finite(out, err);
    return status == LRK_OK ? LRK_OK : lrk_err_prefix(err, status, "%s", s->path);
}

/* A' (R, in h w) of down (R, in) and mid (R, R h w). */
static lrk_status with_middle(lrk_image_adapter *a, const lrk_safetensors *s, const piece *p, lrk_tensor *down,
                              lrk_err *err)
{
    lrk_tensor mid, whole;
    LRK_TRY(to_matrix(a, s, p->entry, &mid, err));
    const size_t R = down->dim[0], in = down->dim[1], area = mid.dim[1] / R;
    LRK_REQUIRE(err, mid.dim[0] == R && p->entry->rank > 1 && p->entry->dim[1] == R && in <= MOST_COLUMNS / area,
                LRK_ESHAPE, "%s: tensor '%s' is no middle factor of rank %zu", s->path, p->entry->name, R);
    whole = lrk_mat(LRK_F32, R, in * area);
    whole.name = down->name;
    LRK_TRY(lrk_alloc(&a->arena, R, in * area * sizeof(float), p->entry->name, &whole.data, err));
    memset(whole.data, 0, lrk_bytes(&whole));
    const float *m = mid.data, *d = down->data;
    for (size_t row = 0; row < R; row++) {
        float *out = (float *)whole.data + row * in * area;
        for (size_t q = 0; q < R; q++)
            for (size_t i = 0; i < in; i++)
                for (size_t x = 0; x < area; x++)
                    out[i * area + x] += m[(row * R + q) * area + x] * d[q * in + i];
    }
    *down = whole;
    return LRK_OK;
}

static lrk_status alpha_of(lrk_image_adapter *a, const lrk_safetensors *s, const piece *p, double *alpha, lrk_err *err)
{
    lrk_tensor t;
    LRK_TRY(to_matrix(a, s, p->entry, &t, err));
    LRK_REQUIRE(err, lrk_count(&t) == 1, LRK_ESHAPE, "%s: tensor '%s' has %zu elements, expected 1", s->path,
                p->entry->name, lrk_count(&t));
    *alpha = (double)*(const float *)t.data;
    return LRK_OK;
}

/* The pieces of one module, at most one of each role. */
static lrk_status compose(lrk_image_adapter *a, const lrk_safetensors *s, const piece *const of[ROLES],
                          const piece *any, const settings *known, lrk_err *err)
{
    lrk_image_module *out = &a->module[a->n++];
    *out = (lrk_image_module){.part = any->part, .flat = any->flat, .m = {.path = any->module}};
    lrk_adapter_module *m = &out->m;
    LRK_REQUIRE(err, of[DOWN] && of[UP], LRK_EINPUT, "%s: module '%s' has no %s", s->path, any->module,
                of[DOWN] ? "lora_up" : "lora_down");
    LRK_TRY(to_matrix(a, s, of[DOWN]->entry, &m->a, err));
    LRK_TRY(to_matrix(a, s, of[UP]->entry, &m->b, err));
    const size_t R = m->a.dim[0];
    LRK_REQUIRE(err, m->b.dim[1] == R, LRK_ESHAPE, "%s: module '%s': lora_down has rank %zu, lora_up %zu", s->path,
                any->module, R, m->b.dim[1]);
    if (of[MID]) LRK_TRY(with_middle(a, s, of[MID], &m->a, err));
    m->alpha = known->alpha[any->part] > 0.0 ? known->alpha[any->part] : (double)R;
    if (of[ALPHA]) LRK_TRY(alpha_of(a, s, of[ALPHA], &m->alpha, err));
    m->scale = m->alpha / (known->rslora[any->part] ? sqrt((double)R) : (double)R);
    return LRK_OK;
}

static lrk_status compose_all(lrk_image_adapter *a, const lrk_safetensors *s, const piece *list, size_t n,
                              const settings *known, lrk_err *err)
{
    for (size_t i = 0, next; i < n; i = next) {
        const piece *of[ROLES] = {NULL};
        for (next = i; next < n && list[next].part == list[i].part && strcmp(list[next].flat, list[i].flat) == 0;
             next++) {
            LRK_REQUIRE(err, !of[list[next].role], LRK_EINPUT, "%s: '%s' and '%s' are the same", s->path,
                        list[next].entry->name, of[list[next].role]->entry->name);
            of[list[next].role] = &list[next];
        }
        LRK_TRY(compose(a, s, of, &list[i], known, err));
    }
    return LRK_OK;
}

static lrk_status read_part(const lrk_json *v, const char *prefix, lrk_image_part part, settings *known,
                            const char *path, lrk_err *err)
{
    static const char *const neutral[] = {"rank_pattern", "alpha_pattern", "layer_replication"};
    bool dora = false;
    char key[64];
    snprintf(key, sizeof key, "%slora_alpha", prefix);
    LRK_TRY(lrk_json_opt_real(v, key, &known->alpha[part], path, err));
    LRK_REQUIRE(err, known->alpha[part] > 0.0 || !lrk_json_get(v, key), LRK_EINPUT,
                "%s: %s: expected more than 0", path, key);
    snprintf(key, sizeof key, "%suse_rslora", prefix);
    LRK_TRY(lrk_json_opt_bool(v, key, &known->rslora[part], path, err));
    snprintf(key, sizeof key, "%suse_dora", prefix);
    LRK_TRY(lrk_json_opt_bool(v, key, &dora, path, err));
    LRK_REQUIRE(err, !dora, LRK_ESUPPORT, "%s: %s: DoRA of image models is not merged here", path, key);
    for (size_t i = 0; i < sizeof neutral / sizeof *neutral; i++) {
        snprintf(key, sizeof key, "%s%s", prefix, neutral[i]);
        LRK_REQUIRE(err, !lrk_json_size(lrk_json_get(v, key)), LRK_ESUPPORT, "%s: %s is not supported", path, key);
    }
    return LRK_OK;
}

/* diffusers notes "unet.lora_alpha" and the like: PEFT's configuration of each part. */
static lrk_status read_settings(const lrk_safetensors *s, settings *known, lrk_err *err)
{
    static const struct {
        const char *prefix;
        lrk_image_part part;
    } parts[] = {{"unet.", LRK_IMAGE_UNET},
                 {"transformer.", LRK_IMAGE_UNET},
                 {"text_encoder.", LRK_IMAGE_TEXT},
                 {"text_encoder_2.", LRK_IMAGE_TEXT_2}};
    lrk_json *v = NULL;
    const char *text = lrk_st_metadata(s, "lora_adapter_metadata");
    if (!text) return LRK_OK;
    lrk_status status = lrk_json_parse(&v, text, strlen(text), s->path, err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == LRK_OK; i++)
        status = read_part(v, parts[i].prefix, parts[i].part, known, s->path, err);
    lrk_json_free(v);
    return status;
}

static lrk_status read_all(lrk_image_adapter *a, const lrk_safetensors *s, lrk_err *err)
{
    piece *list;
    settings known = {0};
    LRK_TRY(read_settings(s, &known, err));
    LRK_REQUIRE(err, s->n, LRK_EINPUT, "%s: no tensors inside", s->path);
    LRK_TRY(lrk_alloc(&a->arena, s->n, sizeof *list, "pieces of the adapter", &list, err));
    LRK_TRY(lrk_alloc(&a->arena, s->n, sizeof *a->module, "modules of the adapter", &a->module, err));
    for (size_t i = 0; i < s->n; i++) LRK_TRY(parse_key(a, s, &s->entry[i], &list[i], err));
    qsort(list, s->n, sizeof *list, by_module);
    return compose_all(a, s, list, s->n, &known, err);
}

lrk_status lrk_image_adapter_of(lrk_image_adapter *a, const lrk_safetensors *s, lrk_err *err)
{
    *a = (lrk_image_adapter){.arena = lrk_arena_growing("image adapter")};
    a->metadata = lrk_json_ref(s->metadata);
    const lrk_status status = read_all(a, s, err);
    if (status != LRK_OK) lrk_image_adapter_free(a);
    return status;
}

lrk_status lrk_image_adapter_load(lrk_image_adapter *a, const char *path, lrk_err *err)
{
    lrk_safetensors s;
    LRK_TRY(lrk_st_open(&s, path, err));
    const lrk_status status = lrk_image_adapter_of(a, &s, err);
    lrk_st_close(&s);
    return status;
}

void lrk_image_adapter_free(lrk_image_adapter *a)
{
    lrk_json_free(a->metadata);
    lrk_arena_free(&a->arena);
    *a = (lrk_image_adapter){0};
}
