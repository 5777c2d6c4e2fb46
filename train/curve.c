/* train/curve.c -- the loss curve. */
#include "train/curve.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>

/* Points of the picture; the plot lies inside these margins. */
enum { WIDTH = 960, HEIGHT = 540, LEFT = 72, RIGHT = 28, TOP = 64, BOTTOM = 60, MOST_POINTS = 800 };

#define INK "#1f2430"
#define FAINT "#8a91a0"
#define GRID "#e8eaee"
#define TRAIN "#2f7d5d"
#define TRAIN_RAW "#bfdccf"
#define EVAL "#d4572a"

typedef struct frame {
    double x0, x1, y0, y1; /* data at the edges of the plot */
} frame;

static double px(const frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double py(const frame *f, double y)
{
    const double v = HEIGHT - BOTTOM - (y - f->y0) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
    return v < TOP ? TOP : v;
}

double lrk_nice_step(double span, int n)
{
    const double raw = span / n, power = pow(10.0, floor(log10(raw))), part = raw / power;
    return (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10) * power;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Exponential mean with its bias at the start removed. */
static void smooth(const lrk_curve_point *in, size_t n, double *out)
{
    const double keep = 1.0 - 1.0 / fmax(2.0, (double)n / 80.0);
    double sum = 0.0, weight = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum = keep * sum + (1.0 - keep) * in[i].loss;
        weight = keep * weight + (1.0 - keep);
        out[i] = sum / weight;
    }
}

/* Vertical range: all of the smooth curve and of the evaluations, and the raw losses but the
 * largest twentieth, which are spikes of single steps. sorted is scratch for n_train numbers. */
static frame fit(const lrk_curve *c, const double *smoothed, double *sorted)
{
    frame f = {0.0, 1.0, HUGE_VAL, -HUGE_VAL};
    for (size_t i = 0; i < c->n_train; i++) {
        f.x1 = fmax(f.x1, c->train[i].step);
        f.y0 = fmin(f.y0, fmin(smoothed[i], c->train[i].loss));
        f.y1 = fmax(f.y1, smoothed[i]);
        sorted[i] = c->train[i].loss;
    }
    for (size_t i = 0; i < c->n_eval; i++) {
        f.x1 = fmax(f.x1, c->eval[i].step);
        f.y0 = fmin(f.y0, c->eval[i].loss);
        f.y1 = fmax(f.y1, c->eval[i].loss);
    }
    if (c->n_train) {
        qsort(sorted, c->n_train, sizeof *sorted, compare);
        f.y1 = fmax(f.y1, sorted[(c->n_train - 1) * 19 / 20]);
    }
    if (!isfinite(f.y0) || !isfinite(f.y1)) f.y0 = 0.0, f.y1 = 1.0;
    if (f.y0 > 0 && f.y0 < 0.5 * f.y1) f.y0 = 0.0; /* losses are compared with nothing left */
    if (f.y1 - f.y0 < 1e-9 * fmax(1.0, fabs(f.y1))) f.y0 -= 0.5, f.y1 += 0.5;
    const double step = lrk_nice_step(f.y1 - f.y0, 5);
    f.y0 = floor(f.y0 / step) * step;
    f.y1 = ceil(f.y1 / step) * step;
    return f;
}

static void text(lrk_buf *b, double x, double y, const char *anchor, const char *style,
                 const char *fmt, double v)
{
    lrk_buf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>", x, y, anchor, style);
    lrk_buf_printf(b, fmt, v);
    lrk_buf_puts(b, "</text>\n");
}

static void axes(lrk_buf *b, const frame *f)
{
    const double y_step = lrk_nice_step(f->y1 - f->y0, 5);
    double x_step = lrk_nice_step(f->x1 - f->x0, 8);
    if (x_step < 1.0) x_step = 1.0;
    const int decimals = y_step >= 1.0 ? 0 : (int)ceil(-log10(y_step) - 1e-9);
    const char *const formats[] = {"%.0f", "%.1f", "%.2f", "%.3f", "%.4f", "%.5f"};
    const char *format = decimals <= 5 ? formats[decimals] : "%.2e";
    const char *style = "fill=\"" FAINT "\"";

    for (int i = 0; f->y0 + i * y_step <= f->y1 + 1e-9 * y_step; i++) {
        const double v = f->y0 + i * y_step, y = py(f, v);
        lrk_buf_printf(b, "<path d=\"M%d %.1fH%d\" stroke=\"%s\"/>\n", LEFT, y, WIDTH - RIGHT,
                       i == 0 ? FAINT : GRID);
        text(b, LEFT - 10, y + 4, "end", style, format, v);
    }
    for (int i = 0; i * x_step <= f->x1 + 1e-9; i++) {
        const double x = px(f, i * x_step);
        lrk_buf_printf(b, "<path d=\"M%.1f %dv5\" stroke=\"" FAINT "\"/>\n", x, HEIGHT - BOTTOM);
        text(b, x, HEIGHT - BOTTOM + 22, "middle", style, "%.0f", i * x_step);
    }
    lrk_buf_printf(
        b,
        "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"" FAINT "\">"
        "optimizer step</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"" FAINT
        "\">loss</text>\n",
        WIDTH - RIGHT, HEIGHT - 14, LEFT - 10, TOP - 14);
}

/* At most MOST_POINTS corners: of each run of steps the mean. values NULL: the points' own losses.
 */
static void line(lrk_buf *b, const frame *f, const lrk_curve_point *p, const double *values,
                 size_t n, const char *style)
{
    const size_t run = (n + MOST_POINTS - 1) / MOST_POINTS;
    if (n == 0) return;
    lrk_buf_printf(b, "<polyline fill=\"none\" %s points=\"", style);
    for (size_t i = 0; i < n; i += run) {
        const size_t end = i + run < n ? i + run : n;
        double x = 0.0, y = 0.0;
        for (size_t k = i; k < end; k++) {
            x += p[k].step;
            y += values ? values[k] : p[k].loss;
        }
        const double count = (double)(end - i);
        lrk_buf_printf(b, "%.1f,%.1f ", px(f, x / count), py(f, y / count));
    }
    lrk_buf_puts(b, "\"/>\n");
}

static void evaluations(lrk_buf *b, const frame *f, const lrk_curve *c)
{
    size_t best = 0;
    if (c->n_eval == 0) return;
    line(b, f, c->eval, NULL, c->n_eval, "stroke=\"" EVAL "\" stroke-width=\"1.5\"");
    for (size_t i = 0; i < c->n_eval; i++) {
        lrk_buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"" EVAL "\"/>\n",
                       px(f, c->eval[i].step), py(f, c->eval[i].loss), c->n_eval > 60 ? "2" : "4");
        if (c->eval[i].loss < c->eval[best].loss) best = i;
    }
    const double x = px(f, c->eval[best].step), y = py(f, c->eval[best].loss);
    const bool at_right = x > WIDTH - RIGHT - 60;
    text(b, at_right ? WIDTH - RIGHT : x, y - 12, at_right ? "end" : "middle",
         "fill=\"" EVAL "\" font-weight=\"600\"", "%.3f", c->eval[best].loss);
}

static void legend(lrk_buf *b, const lrk_curve *c)
{
    lrk_buf_printf(b,
                   "<g transform=\"translate(%d,38)\"><path d=\"M0 -4h22\" stroke=\"" TRAIN_RAW
                   "\" stroke-width=\"1\"/><text x=\"30\" fill=\"" INK "\">training</text>"
                   "<path d=\"M96 -4h22\" stroke=\"" TRAIN "\" stroke-width=\"2.5\"/><text x=\"126\" fill=\"" INK
                   "\">its mean</text>",
                   WIDTH - RIGHT - 298);
    if (c->n_eval)
        lrk_buf_puts(b, "<circle cx=\"206\" cy=\"-4\" r=\"4\" fill=\"" EVAL
                        "\"/><text x=\"218\" fill=\"" INK "\">evaluation</text>");
    lrk_buf_puts(b, "</g>\n");
}

static void escaped(lrk_buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '<')
            lrk_buf_puts(b, "&lt;");
        else if (*s == '&')
            lrk_buf_puts(b, "&amp;");
        else
            lrk_buf_append(b, s, 1);
    }
}

lrk_status lrk_curve_svg(const lrk_curve *c, const char *title, lrk_buf *b, lrk_err *err)
{
    double *smoothed = lrk_heap_alloc(c->n_train ? 2 * c->n_train : 1, sizeof *smoothed);
    LRK_REQUIRE(err, smoothed, LRK_ENOMEM, "loss curve: out of memory");
    smooth(c->train, c->n_train, smoothed);
    const frame f = fit(c, smoothed, smoothed + c->n_train);

    lrk_buf_printf(b,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                   "height=\"%d\" font-family=\"system-ui, -apple-system, 'Segoe UI', "
                   "'DejaVu Sans', sans-serif\" font-size=\"13\" stroke=\"none\">\n"
                   "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
                   "<text x=\"%d\" y=\"38\" font-size=\"18\" font-weight=\"600\" fill=\"" INK "\">",
                   WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
    escaped(b, title);
    lrk_buf_puts(b, "</text>\n");
    legend(b, c);
    axes(b, &f);
    line(b, &f, c->train, NULL, c->n_train, "stroke=\"" TRAIN_RAW "\" stroke-width=\"1\"");
    line(b, &f, c->train, smoothed, c->n_train,
         "stroke=\"" TRAIN "\" stroke-width=\"2.5\" stroke-linejoin=\"round\"");
    evaluations(b, &f, c);
    lrk_buf_puts(b, "</svg>\n");
    lrk_heap_free(smoothed);
    return lrk_buf_check(b, err);
}

lrk_status lrk_curve_write(const char *metrics, const char *svg, const char *title, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("loss curve");
    lrk_buf b = {0};
    lrk_curve c = {0};
    lrk_status s = lrk_metrics_read(&c, &a, metrics, err);
    if (s == LRK_OK) s = lrk_curve_svg(&c, title, &b, err);
    if (s == LRK_OK) s = lrk_file_write(svg, b.data, b.n, err);
    lrk_buf_free(&b);
    lrk_arena_free(&a);
    return s;
}
