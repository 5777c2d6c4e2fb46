/* cli/cmd_verify.c -- `lorikeet verify`. */
#include "base/json.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "models/choose.h"
#include "train/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *recorded(const lrk_check *c, char out[32])
{
    snprintf(out, 32, c->recorded > 0.0 ? "%.3g" : "-", c->recorded);
    return out;
}

static void print_table(const lrk_report *r)
{
    char text[32];
    printf("%-24s %10s %12s %12s %12s\n", "what", "compared", "error", "f32", "tolerance");
    for (size_t i = 0; i < r->n; i++) {
        const lrk_check *c = &r->check[i];
        if (c->unsupported)
            printf("%-24s %s\n", c->name, c->note ? c->note : "not supported");
        else
            printf("%-24s %10zu %12.3g %12s %12.3g  %s\n", c->name, c->compared, c->error, recorded(c, text),
                   c->tolerance, c->error <= c->tolerance ? "ok" : "EXCEEDED");
    }
}

static lrk_status print_json(const lrk_report *r, lrk_err *err)
{
    lrk_json *list = lrk_json_array();
    for (size_t i = 0; i < r->n; i++) {
        const lrk_check *c = &r->check[i];
        lrk_json *row = lrk_json_object();
        lrk_json_set(row, "what", lrk_json_c_string(c->name));
        lrk_json_set_count(row, "compared", c->compared);
        lrk_json_set(row, "error", lrk_json_new_real(c->error));
        if (c->recorded > 0.0) lrk_json_set(row, "f32_error", lrk_json_new_real(c->recorded));
        lrk_json_set(row, "tolerance", lrk_json_new_real(c->tolerance));
        lrk_json_set(row, "supported", lrk_json_new_bool(!c->unsupported));
        lrk_json_set(row, "ok", lrk_json_new_bool(!c->unsupported && c->error <= c->tolerance));
        lrk_json_set_text(row, "note", c->note);
        lrk_json_add(list, row);
    }
    return lrk_print_json(list, err);
}

static lrk_status run(int argc, char **argv, lrk_err *err)
{
    bool json = false;
    const char *name = "cpu";
    const lrk_option table[] = {{"json", LRK_OPTION_FLAG, &json, false, NULL},
                                {"device", LRK_OPTION_STRING, &name, false, NULL}};
    LRK_TRY(lrk_options_parse(table, 2, &argc, argv, err));
    LRK_REQUIRE(err, argc == 1, LRK_EUSAGE, "expected one directory");
    lrk_report report;
    lrk_device device;
    LRK_TRY(lrk_device_choose(name, &device, err));
    lrk_status status = lrk_verify(argv[0], device, &report, err);
    lrk_err unsaid = {0};
    const lrk_status said = report.n && json ? print_json(&report, &unsaid) : LRK_OK;
    if (report.n && !json) print_table(&report);
    if (status == LRK_OK) status = lrk_report_status(&report, err);
    if (status == LRK_OK && said != LRK_OK) status = lrk_fail(err, said, "%s", unsaid.text);
    lrk_report_free(&report);
    return status;
}

const lrk_command lrk_command_verify = {
    .name = "verify",
    .summary = "recompute what a golden directory records",
    .help = "usage: lorikeet verify DIR [--device cpu|cuda|auto] [--json]\n"
            "\n"
            "Recomputes everything that DIR records of a tiny model (logits, losses, gradients, ten\n"
            "training steps, merge, greedy ids, token ids, decoded blocks) and prints the largest\n"
            "error of each beside what the reference's own f32 was off, where DIR records that, and\n"
            "the tolerance: twice that, or twice what f32 costs at least. Exit code 7 where one is\n"
            "exceeded, 3 where the directory holds a model or type that this version does not know.\n"
            "\n"
            "  --json   the figures as JSON\n"
            "\n"
            "example: lorikeet verify tests/golden/data/llama\n",
    .run = run,
};
