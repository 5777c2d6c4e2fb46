/* cli/cmd_bench.c -- `lorikeet bench`: training, prefill and decoding, timed. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/segments.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "generate/responder.h"
#include "models/choose.h"
#include "train/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPEATS = 100, MAX_TOKENS = 1 << 24 }; /* the ranges of the options say so too */

typedef struct lrk_bench {
    const char *model, *train, *device, *dtype;
    size_t prefill, decode, rank, threads, repeats;
    bool json, profile;
    lrk_base_model base;
    lrk_json *results;
    lrk_device where;
    lrk_compute compute;
} lrk_bench;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Records `tokens` done in each of the times; prints the row at once. */
static void record(lrk_bench *b, const char *what, size_t tokens, double *seconds, size_t n)
{
    qsort(seconds, n, sizeof *seconds, ascending);
    const double median = (double)tokens / seconds[n / 2];
    const double slow = (double)tokens / seconds[n - 1], fast = (double)tokens / seconds[0];
    const double peak = (double)lrk_memory_peak() / 1e6;
    lrk_json *row = lrk_json_object();
    lrk_json_set(row, "what", lrk_json_c_string(what));
    lrk_json_set_count(row, "tokens", tokens);
    lrk_json_set_count(row, "repeats", n);
    lrk_json_set(row, "tok_per_s", lrk_json_new_real(median));
    lrk_json_set(row, "tok_per_s_min", lrk_json_new_real(slow));
    lrk_json_set(row, "tok_per_s_max", lrk_json_new_real(fast));
    lrk_json_set(row, "peak_memory_mb", lrk_json_new_real(peak));
    lrk_json_add(b->results, row);
    if (!b->json)
        printf("%-22s %10.1f %10.1f %10.1f %12.1f\n", what, median, slow, fast, peak);
}

static lrk_engine_options options(lrk_bench *b, const lrk_lora_options *lora)
{
    return (lrk_engine_options){.device = b->where, .decoder = b->base.decoder,
                                .find = lrk_base_find, .ctx = &b->base, .lora = lora,
                                .compute = b->compute};
}

static void print_profile(lrk_engine *e)
{
    lrk_op_time rows[32];
    const size_t n = lrk_tape_times(e->tape, rows, 32);
    for (size_t i = 0; i < n; i++)
        printf("  %-14s forward %9.6f s   backward %9.6f s\n", rows[i].op->name, rows[i].forward_s,
               rows[i].backward_s);
}

static lrk_status parse_shape(const char *text, size_t *rows, size_t *length, lrk_err *err)
{
    char *end = NULL;
    const long long n = strtoll(text, &end, 10);
    const long long t = *end == ',' ? strtoll(end + 1, &end, 10) : 0;
    LRK_REQUIRE(err, n > 0 && t > 1 && *end == '\0' && n < 65536 && t <= MAX_TOKENS / n, LRK_EUSAGE,
                "--train %s: expected rows and tokens of a row, as in 1,512, at most %d tokens in all",
                text, MAX_TOKENS);
    *rows = (size_t)n;
    *length = (size_t)t;
    return LRK_OK;
}

/* rows x length synthetic ids; every token but a row's first is a target. */
static lrk_status synthetic(lrk_arena *a, size_t rows, size_t length, size_t vocabulary,
                            lrk_flat_run *b, lrk_err *err)
{
    const size_t n = rows * length;
    int32_t *ids, *targets, *segments;
    LRK_TRY(lrk_alloc(a, n, sizeof *ids, "ids", &ids, err));
    LRK_TRY(lrk_alloc(a, n, sizeof *targets, "targets", &targets, err));
    LRK_TRY(lrk_alloc(a, rows * LRK_SEG_FIELDS, sizeof *segments, "segments", &segments, err));
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)lrk_rng_below((lrk_rng){1, LRK_SITE_TEST, 0}, i, vocabulary);
    for (size_t r = 0; r < rows; r++) {
        lrk_segment_root(segments + r * LRK_SEG_FIELDS, r * length, length);
        for (size_t i = 0; i < length; i++)
            targets[r * length + i] = i + 1 < length ? ids[r * length + i + 1] : -1;
    }
    *b = (lrk_flat_run){ids, targets, segments, n, rows};
    return LRK_OK;
}

static lrk_status time_training(lrk_bench *b, lrk_engine *e, const lrk_flat_run *batch,
                                const char *what, lrk_err *err)
{
    lrk_optimizer adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_norm = 1.0};
    lrk_step_result result;
    double seconds[MAX_REPEATS];
    for (size_t i = 0; i <= b->repeats; i++) {
        const double start = lrk_seconds();
        lrk_engine_begin(e);
        LRK_TRY(lrk_engine_add(e, batch, 1.0 / (double)batch->n_tokens, err));
        lrk_optimizer_step(&adamw, e, 1e-4);
        LRK_TRY(lrk_optimizer_result(&adamw, e, &result, err));
        /* the first step touches pages for the first time: it warms up */
        if (i) seconds[i - 1] = lrk_seconds() - start;
        if (i == 0) lrk_tape_profile(e->tape, b->profile);
    }
    record(b, what, batch->n_tokens, seconds, b->repeats);
    if (b->profile) print_profile(e);
    return LRK_OK;
}

static lrk_status bench_train(lrk_bench *b, lrk_err *err)
{
    size_t rows, length;
    char what[64];
    lrk_flat_run batch;
    lrk_engine e = {0};
    LRK_TRY(parse_shape(b->train, &rows, &length, err));
    const lrk_lora_options lora = {.rank = b->rank, .alpha = 2.0 * (double)b->rank, .seed = 1};
    lrk_engine_options o = options(b, &lora);
    o.train = true;
    o.recompute = LRK_KEEP_ALL; /* as recipes do where memory suffices */
    o.max_tokens = rows * length;
    o.max_segments = rows;
    lrk_arena a = lrk_arena_growing("bench");
    snprintf(what, sizeof what, "train %zux%zu r%zu %s", rows, length, b->rank,
             lrk_compute_name(b->compute));
    lrk_status status = synthetic(&a, rows, length, o.decoder.vocabulary, &batch, err);
    if (status == LRK_OK) status = lrk_engine_open(&e, &o, err);
    if (status == LRK_OK) status = lrk_model_start(&e.model, 1, err);
    if (status == LRK_OK) status = time_training(b, &e, &batch, what, err);
    lrk_engine_close(&e);
    lrk_arena_free(&a);
    return status;
}

static lrk_status bench_prefill(lrk_bench *b, lrk_err *err)
{
    char what[64];
    double seconds[MAX_REPEATS];
    lrk_flat_run batch;
    const lrk_tensor *logits;
    lrk_engine e = {0};
    lrk_engine_options o = options(b, NULL);
    o.max_tokens = b->prefill;
    o.max_segments = o.max_logits = o.cache_slots = 1;
    o.cache_capacity = b->prefill;
    lrk_arena a = lrk_arena_growing("bench");
    snprintf(what, sizeof what, "prefill %zu %s", b->prefill, lrk_compute_name(b->compute));
    lrk_status status = synthetic(&a, 1, b->prefill, o.decoder.vocabulary, &batch, err);
    if (status == LRK_OK) status = lrk_engine_open(&e, &o, err);
    for (size_t i = 0; status == LRK_OK && i <= b->repeats; i++) {
        const double start = lrk_seconds();
        status = lrk_engine_logits(&e, &batch, true, (int32_t[]){(int32_t)b->prefill - 1}, 1,
                                   &logits, err);
        if (i) seconds[i - 1] = lrk_seconds() - start;
    }
    if (status == LRK_OK) record(b, what, b->prefill, seconds, b->repeats);
    lrk_engine_close(&e);
    lrk_arena_free(&a);
    return status;
}

static bool count_token(void *ctx, size_t sequence, uint32_t id, bool done)
{
    (void)sequence;
    (void)id;
    *(size_t *)ctx += !done;
    return true;
}

static lrk_status bench_decode(lrk_bench *b, lrk_err *err)
{
    char what[64];
    double seconds[MAX_REPEATS];
    lrk_engine e = {0};
    lrk_engine_options o = options(b, NULL);
    o.max_tokens = o.max_segments = o.max_logits = o.cache_slots = 1;
    o.cache_capacity = b->decode + 2;
    snprintf(what, sizeof what, "decode %zu %s", b->decode, lrk_compute_name(b->compute));
    lrk_status status = lrk_engine_open(&e, &o, err);
    size_t produced = 0;
    const uint32_t first = 1;
    const lrk_prompt prompt = {&first, 1};
    const lrk_generation g = {.max_tokens = b->decode, .token = count_token, .ctx = &produced};
    for (size_t i = 0; status == LRK_OK && i <= b->repeats; i++) {
        const double start = lrk_seconds();
        status = lrk_generate(&e, &prompt, 1, &g, err);
        if (i) seconds[i - 1] = lrk_seconds() - start;
    }
    if (status == LRK_OK) record(b, what, b->decode, seconds, b->repeats);
    lrk_engine_close(&e);
    return status;
}

static lrk_status print_json(const lrk_bench *b, lrk_err *err)
{
    lrk_json *all = lrk_json_object();
    lrk_json_set(all, "model", lrk_json_c_string(b->model));
    lrk_json_set(all, "cpu", lrk_json_c_string(lrk_cpu_model()));
    lrk_json_set(all, "isa", lrk_json_c_string(lrk_isa_name(lrk_cpu())));
    lrk_json_set(all, "threads", lrk_json_new_integer(lrk_threads()));
    lrk_json_set(all, "results", lrk_json_ref(b->results));
    return lrk_print_json(all, err);
}

static lrk_status measure(lrk_bench *b, lrk_err *err)
{
    if (!b->json) {
        printf("%s, %s, %d threads\n", lrk_cpu_model(), lrk_isa_name(lrk_cpu()), lrk_threads());
        printf("%-22s %10s %10s %10s %12s\n", "", "tokens/s", "slowest", "fastest", "peak MB");
    }
    if (b->train) LRK_TRY(bench_train(b, err));
    if (b->prefill) LRK_TRY(bench_prefill(b, err));
    if (b->decode) LRK_TRY(bench_decode(b, err));
    return b->json ? print_json(b, err) : LRK_OK;
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    lrk_bench b = {.device = "auto", .dtype = "auto", .rank = 16, .repeats = 5};
    const lrk_option table[] = {
        {"model", LRK_OPTION_STRING, &b.model, true, NULL},
        {"train", LRK_OPTION_STRING, &b.train, false, NULL},
        {"prefill", LRK_OPTION_SIZE, &b.prefill, false, "[1,16777216]"},
        {"decode", LRK_OPTION_SIZE, &b.decode, false, "[1,16777216]"},
        {"rank", LRK_OPTION_SIZE, &b.rank, false, LRK_RANGE_RANK},
        {"device", LRK_OPTION_STRING, &b.device, false, NULL},
        {"dtype", LRK_OPTION_STRING, &b.dtype, false, NULL},
        {"threads", LRK_OPTION_SIZE, &b.threads, false, LRK_RANGE_THREADS},
        {"repeats", LRK_OPTION_SIZE, &b.repeats, false, "[1,100]"},
        {"profile", LRK_OPTION_FLAG, &b.profile, false, NULL},
        {"json", LRK_OPTION_FLAG, &b.json, false, NULL},
    };
    LRK_TRY(lrk_options_parse(table, sizeof table / sizeof *table, &argc, argv, err));
    LRK_REQUIRE(err, argc == 0, LRK_EUSAGE, "unexpected argument %s", argv[0]);
    LRK_REQUIRE(err, !b.profile || !b.json, LRK_EUSAGE, "--profile is for people, without --json");
    if (!b.train && !b.prefill && !b.decode) {
        b.train = "1,512";
        b.prefill = 512;
        b.decode = 64;
    }
    lrk_threads_set((int)b.threads);
    LRK_TRY(lrk_device_choose(b.device, &b.where, err));
    LRK_TRY(lrk_compute_choose(b.dtype, b.where, &b.compute, err));
    LRK_TRY(lrk_base_open(&b.base, b.model, err));
    b.results = lrk_json_array();
    const lrk_status status = measure(&b, err);
    lrk_json_free(b.results);
    lrk_base_close(&b.base);
    return status;
}

const lrk_command lrk_command_bench = {
    .name = "bench",
    .summary = "time training, prefill and decoding of a model",
    .help = "usage: lorikeet bench --model M [options]\n"
            "\n"
            "Runs synthetic token ids through the model and prints tokens per second: the median,\n"
            "the slowest and the fastest of the repeats, and the peak memory of the process so far.\n"
            "\n"
            "  --model M       Hugging Face directory or GGUF file\n"
            "  --train N,T     training steps on N rows of T tokens, LoRA on all linear layers\n"
            "  --prefill T     a prompt of T tokens\n"
            "  --decode N      N tokens, one by one\n"
            "                  none of these: --train 1,512 --prefill 512 --decode 64\n"
            "  --rank R        rank of the adapter (16)\n"
            "  --device D      auto (the GPU where one can be used), cpu or cuda\n"
            "  --dtype D       auto, f32 or bf16 (auto: bf16 where the processor multiplies it)\n"
            "  --threads K     threads (0: one for each processor)\n"
            "  --repeats K     timed repeats after one that warms up (5)\n"
            "  --profile       seconds by kind of kernel below each training row\n"
            "  --json          the figures as JSON\n"
            "\n"
            "example: lorikeet bench --model models/SmolLM2-135M-Instruct.Q4_1.gguf --train 1,512\n",
    .run = run,
};
