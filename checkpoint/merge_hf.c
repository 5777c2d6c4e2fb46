/* checkpoint/merge_hf.c -- a merged model as a Hugging Face directory. */
#include "checkpoint/merge_tensor.h"

#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const uint64_t default_shard = 5000000000u;

/* What a directory holds beside weights and configuration. */
static const char *const companions[] = {
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "tekken.json", /* Mistral's own form of it */
    "chat_template.jinja",
    "chat_template.json",
};

/* Of these, those of the base where another tokenizer brings none. */
static const char *const of_the_model[] = {
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
};

static lrk_status out_path(lrk_merge_job *job, const char *name, const char **path, lrk_err *err)
{
    *path = lrk_path_join(&job->arena, job->options->out, name);
    LRK_REQUIRE(err, *path, LRK_ENOMEM, "memory: no room for a path");
    return lrk_merge_made(job, *path, err);
}

/* Reads the file back and holds every tensor of it against the base. */
static lrk_status verify(const lrk_merge_job *job, const char *path, lrk_err *err)
{
    lrk_safetensors s;
    LRK_TRY(lrk_st_open(&s, path, err));
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < s.n && status == LRK_OK; i++) {
        lrk_tensor t;
        status = lrk_st_view(&s, &s.entry[i], &t, err);
        if (status == LRK_OK) status = lrk_merge_verify(job, lrk_merge_item_find(job, t.name), &t, err);
    }
    lrk_st_close(&s);
    return status;
}

/* Items first .. last - 1 in one file. */
static lrk_status write_shard(lrk_merge_job *job, size_t first, size_t last, const char *name,
                              lrk_err *err)
{
    const char *path;
    lrk_st_writer *w = NULL;
    lrk_status status;
    LRK_TRY(out_path(job, name, &path, err));
    LRK_TRY(lrk_st_create(&w, err));
    for (size_t i = first; i < last; i++)
        LRK_TRY_GOTO(status, done, lrk_st_declare(w, job->item[i].out_name, &job->item[i].out, err));
    LRK_TRY_GOTO(status, done, lrk_st_begin(w, path, err));
    for (const char *next; (next = lrk_st_next(w));)
        LRK_TRY_GOTO(status, done, lrk_merge_to_safetensors(job, lrk_merge_item_find(job, next), w, err));
    LRK_TRY_GOTO(status, done, lrk_st_commit(w, err));
    status = verify(job, path, err);
    job->report->files++;
done:
    lrk_st_writer_close(w);
    return status;
}

/* End of the shard that begins at item `first`: as many tensors as fit, at least one. */
static size_t shard_end(const lrk_merge_job *job, size_t first)
{
    const uint64_t most = job->options->shard_bytes ? job->options->shard_bytes : default_shard;
    uint64_t bytes = 0;
    size_t i = first;
    do {
        bytes += lrk_bytes(&job->item[i++].out);
    } while (i < job->n && bytes + lrk_bytes(&job->item[i].out) <= most);
    return i;
}

static lrk_status write_json(lrk_merge_job *job, const char *name, const lrk_json *v, lrk_err *err)
{
    const char *path;
    LRK_TRY(out_path(job, name, &path, err));
    return lrk_json_save(v, path, err);
}

static lrk_status write_weights(lrk_merge_job *job, lrk_err *err)
{
    size_t shards = 0;
    for (size_t i = 0; i < job->n; i = shard_end(job, i)) shards++;
    if (shards <= 1) return write_shard(job, 0, job->n, "model.safetensors", err);

    lrk_json *index = lrk_json_object(), *meta = lrk_json_object(), *map = lrk_json_object();
    lrk_json_set_count(meta, "total_size", job->report->bytes);
    lrk_json_set(index, "metadata", meta);
    lrk_json_set(index, "weight_map", map);
    lrk_status status = LRK_OK;
    for (size_t first = 0, k = 1, last; first < job->n && status == LRK_OK; first = last, k++) {
        char name[60];
        last = shard_end(job, first);
        snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", k, shards);
        status = write_shard(job, first, last, name, err);
        for (size_t i = first; i < last; i++)
            lrk_json_set(map, job->item[i].out_name, lrk_json_c_string(name));
    }
    /* last, so that a directory without it is visibly unfinished */
    if (status == LRK_OK) status = write_json(job, "model.safetensors.index.json", index, err);
    lrk_json_free(index);
    return status;
}

static const char *torch_name(lrk_dtype t)
{
    return t == LRK_F32 ? "float32" : t == LRK_BF16 ? "bfloat16" : "float16";
}

/* The length that a Llama 3 model was first trained on, from a divisor d of pair i that is between
 * 1 and the factor f: with s = (1/d - 1/f) / (1 - 1/f) the wavelength is original / (3 s + 1). */
static double llama3_original(const float *divisor, size_t n, double f, double theta)
{
    for (size_t i = 0; i < n; i++) {
        const double d = (double)divisor[i];
        if (d <= 1.0 + 1e-5 || d >= f * (1.0 - 1e-5)) continue;
        const double length = 2 * acos(-1.0) * pow(theta, (double)i / (double)n);
        return round(length * (3 * (1 / d - 1 / f) / (1 - 1 / f) + 1));
    }
    return 8192; /* none lies between */
}

/* A GGUF of a Llama 3 model holds the divisors of its frequencies and not the parameters that they
 * come from. low_freq_factor is 1 and high_freq_factor 4 in every published model; the others
 * follow, and are right where they give the same divisors. */
static lrk_status put_llama3(const lrk_merge_job *job, lrk_json *config, lrk_err *err)
{
    float factor[LRK_MAX_HALF_HEAD];
    size_t n = 0;
    double theta = 10000, largest = 1;
    lrk_tensor freqs;
    if (!lrk_weights_find(job->base, "rope_freqs", &freqs)) return LRK_OK;
    const float *want = freqs.data;
    bool same = freqs.dtype == LRK_F32 && freqs.rank == 1;
    for (size_t i = 0; same && i < freqs.dim[0]; i++) largest = fmax(largest, (double)want[i]);
    LRK_TRY(lrk_json_opt_real(config, "rope_theta", &theta, "config.json", err));
    const double original = same ? llama3_original(want, freqs.dim[0], largest, theta) : 1;
    same = same && original >= 1 && original <= INT32_MAX;
    lrk_json *rope = lrk_json_object();
    lrk_json_set(rope, "rope_type", lrk_json_new_string("llama3", 6));
    lrk_json_set(rope, "factor", lrk_json_new_real(lrk_gguf_shortest(largest)));
    lrk_json_set(rope, "low_freq_factor", lrk_json_new_real(1));
    lrk_json_set(rope, "high_freq_factor", lrk_json_new_real(4));
    lrk_json_set_count(rope, "original_max_position_embeddings", same ? (uint64_t)original : 1);
    lrk_json_set(config, "rope_scaling", rope);
    LRK_TRY(lrk_llama3_factors(config, lrk_weights_head_dim(job->base), factor, &n, err));
    same = same && n == lrk_count(&freqs);
    for (size_t i = 0; i < n && same; i++)
        same = fabsf(want[i] - factor[i]) <= 1e-5f * fabsf(want[i]);
    LRK_REQUIRE(err, same, LRK_ESUPPORT,
                "%s: rope_freqs.weight is not that of a Llama 3 model, so config.json cannot "
                "describe it; write GGUF instead",
                lrk_weights_path(job->base));
    return LRK_OK;
}

/* What config.json says of the language model inside another; begun where it leaves all to the class. */
static lrk_json *text_config(lrk_json *config)
{
    static const char key[] = "text_config";
    if (!lrk_json_is(lrk_json_get(config, key), LRK_JSON_OBJECT)) lrk_json_set(config, key, lrk_json_object());
    return lrk_json_get(config, key);
}

/* config.json says the type of the weights under one of two names, and whether the head is the embedding. */
static lrk_status edited_config(lrk_merge_job *job, bool converted, lrk_err *err)
{
    const bool from_gguf = lrk_weights_source(job->base) == LRK_WEIGHTS_GGUF;
    const char *type = torch_name(job->item[0].out.dtype);
    lrk_json *copy = NULL;
    lrk_buf b = {0};
    const lrk_json *outer = lrk_weights_outer(job->base), *config = lrk_weights_config(job->base);
    lrk_status status = lrk_json_dump(outer ? outer : config, 0, &b, err);
    if (status == LRK_OK) status = lrk_json_parse(&copy, b.data, b.n, "config.json", err);
    lrk_buf_free(&b);
    if (status == LRK_OK && from_gguf) status = put_llama3(job, copy, err);
    if (status == LRK_OK) {
        const char *key = from_gguf || lrk_json_get(copy, "torch_dtype") ? "torch_dtype" : "dtype";
        if (converted) lrk_json_set(copy, key, lrk_json_c_string(type));
        if (outer && lrk_weights_has_grown(job->base))
            lrk_json_set(text_config(copy), "vocab_size",
                         lrk_json_ref((lrk_json *)(uintptr_t)lrk_json_get(config, "vocab_size")));
        if (job->untied) lrk_json_set(copy, "tie_word_embeddings", lrk_json_new_bool(false));
        if (job->untied && outer) lrk_json_set(text_config(copy), "tie_word_embeddings", lrk_json_new_bool(false));
        if (job->options->eos) lrk_json_set(copy, "eos_token_id", lrk_json_new_integer(*job->options->eos));
        status = write_json(job, "config.json", copy, err);
    }
    lrk_json_free(copy);
    return status;
}

static lrk_status copy_file(lrk_merge_job *job, const char *from_directory, const char *name,
                            lrk_err *err)
{
    const char *from = lrk_path_join(&job->arena, from_directory, name), *to;
    LRK_REQUIRE(err, from, LRK_ENOMEM, "memory: no room for a path");
    if (!lrk_is_file(from)) return LRK_OK;
    LRK_TRY(out_path(job, name, &to, err));
    return lrk_file_copy(from, to, err);
}

static lrk_status write_files(lrk_merge_job *job, const lrk_merge_file *file, size_t n, lrk_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *path;
        LRK_TRY(out_path(job, file[i].name, &path, err));
        LRK_TRY(lrk_file_write(path, file[i].text, file[i].n, err));
    }
    return LRK_OK;
}

/* Whether a file of the base is not copied: another one goes in its place, or its template is not that of
 * the output. */
static bool replaced(const lrk_merge_options *o, const char *name)
{
    bool is = o->chat_template && strncmp(name, "chat_template.", 14) == 0;
    for (size_t i = 0; i < o->n_extra; i++) is = is || strcmp(name, o->extra[i].name) == 0;
    return is;
}

static lrk_status copy_of_base(lrk_merge_job *job, const char *from, lrk_err *err)
{
    for (size_t i = 0; i < sizeof of_the_model / sizeof *of_the_model; i++) {
        const char *theirs = lrk_path_join(&job->arena, from, of_the_model[i]);
        LRK_REQUIRE(err, theirs, LRK_ENOMEM, "memory: no room for a path");
        if (lrk_is_file(theirs) || replaced(job->options, of_the_model[i])) continue;
        LRK_TRY(copy_file(job, lrk_weights_path(job->base), of_the_model[i], err));
    }
    return LRK_OK;
}

static lrk_status write_companions(lrk_merge_job *job, lrk_err *err)
{
    const bool from_gguf = lrk_weights_source(job->base) == LRK_WEIGHTS_GGUF;
    const char *from = job->options->tokenizer;
    if (!from && !from_gguf) from = lrk_weights_path(job->base);
    job->report->needs_tokenizer = !from && !job->options->text;
    for (size_t i = 0; from && i < sizeof companions / sizeof companions[0]; i++)
        if (!replaced(job->options, companions[i])) LRK_TRY(copy_file(job, from, companions[i], err));
    if (from && !from_gguf) LRK_TRY(copy_of_base(job, from, err));
    const lrk_merge_text *text = job->options->text; /* made of that of a GGUF base */
    if (!from && text) LRK_TRY(write_files(job, text->file, text->n_files, err));
    LRK_TRY(write_files(job, job->options->extra, job->options->n_extra, err));
    bool converted = from_gguf;
    for (size_t i = 0; i < job->n; i++)
        converted = converted || job->item[i].out.dtype != job->item[i].src.dtype;
    return converted || job->untied || job->options->eos || lrk_weights_has_grown(job->base)
               ? edited_config(job, converted, err)
               : copy_file(job, lrk_weights_path(job->base), "config.json", err);
}

lrk_status lrk_merge_write_hf(lrk_merge_job *job, lrk_err *err)
{
    LRK_REQUIRE(err, job->n > 0, LRK_EINPUT, "%s: no weights inside", lrk_weights_path(job->base));
    LRK_REQUIRE(err, !job->options->tokenizer || lrk_is_dir(job->options->tokenizer), LRK_EINPUT,
                "%s: no directory of tokenizer files", job->options->tokenizer);
    LRK_TRY(lrk_mkdir(job->options->out, err));
    LRK_TRY(write_weights(job, err));
    return write_companions(job, err);
}
