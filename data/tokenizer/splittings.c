/* data/tokenizer/splittings.c -- what the names under tokenizer.ggml.pre stand for.
 *
 * Source: the names that llama.cpp knows for byte-level BPE, with the pattern of the tokenizer.json
 * that it notes beside each (where its own pattern differs from that one, that one counts), and the
 * normalizer that the tokenizer.json of these models has. Not known: names of encoders, and
 * afmoe, chameleon, cohere2moe, exaone-moe, jais-2, kimi-k2, superbpe, tiny_aya, whose patterns
 * have what data/tokenizer/regex.h has not.
 */
#include "data/tokenizer/splittings.h"

#include <string.h>

#define P(name)                                                                                    \
    {                                                                                              \
        .pattern = LRK_PATTERN_##name                                                              \
    }
#define GPT2 {P(GPT2)}, 1
#define DIGITS_GPT2 {P(DIGIT), P(GPT2)}, 2
#define DEEPSEEK3 {P(DIGITS_3), P(CJK), P(DEEPSEEK3)}, 3
#define DEEPSEEK_LLM                                                                               \
    {P(NEWLINE), P(DEEPSEEK_LETTERS), P(DEEPSEEK_PUNCT), P(SPACE_END), P(CJK_HANGUL), P(DIGIT)}, 6
#define DEEPSEEK_CODER {P(NEWLINE), P(SPACE_LETTERS), P(SPACE_PUNCT), P(CJK_HANGUL), P(DIGIT)}, 5
#define FALCON                                                                                     \
    {{.pattern = LRK_PATTERN_PUNCTUATION, .behavior = LRK_CONTIGUOUS},                             \
     P(GPT2),                                                                                      \
     {.pattern = LRK_PATTERN_DIGITS, .spelled = true},                                             \
     {.pattern = LRK_PATTERN_ASCII_DIGITS_3, .spelled = true}},                                    \
        4
enum {
    NFC = LRK_SPLITTING_NFC,
    IGNORE_MERGES = LRK_SPLITTING_IGNORE_MERGES,
    ADD_BOS = LRK_SPLITTING_ADD_BOS
};

static const lrk_splitting known[] = {
    {"gpt-2", GPT2, 0},
    {"phi-2", GPT2, 0},
    {"gigachat", GPT2, 0},
    {"a.x-4.0", GPT2, 0},
    {"mellum", GPT2, 0},
    {"jais", GPT2, 0},
    {"trillion", GPT2, 0},
    {"granite-docling", GPT2, 0},
    {"exaone4", GPT2, 0},
    {"olmo", GPT2, NFC},
    {"mpt", GPT2, NFC},
    {"modern-bert", GPT2, NFC},
    {"smollm", DIGITS_GPT2, 0},
    {"starcoder", DIGITS_GPT2, 0},
    {"refact", DIGITS_GPT2, 0},
    {"codeshell", DIGITS_GPT2, 0},
    {"exaone", DIGITS_GPT2, 0},
    {"minerva-7b", DIGITS_GPT2, 0},
    {"mellum2", DIGITS_GPT2, 0},
    {"command-r", DIGITS_GPT2, NFC},
    {"llama-bpe", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"llama3", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"llama-v3", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"falcon3", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"falcon-h1", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"pixtral", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"midm-2.0", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"lfm2", {P(LLAMA3)}, 1, IGNORE_MERGES | ADD_BOS},
    {"smaug-bpe", {P(LLAMA3)}, 1, 0},
    {"dbrx", {P(LLAMA3)}, 1, 0},
    {"chatglm-bpe", {P(LLAMA3)}, 1, 0},
    {"glm4", {P(LLAMA3)}, 1, IGNORE_MERGES},
    {"glm5", {P(LLAMA3)}, 1, IGNORE_MERGES},
    {"minicpm5", {P(DIGITS_3), P(MINICPM5)}, 2, IGNORE_MERGES},
    {"qwen2", {P(QWEN2)}, 1, NFC},
    {"deepseek-r1-qwen", {P(QWEN2)}, 1, NFC},
    {"kormo", {P(QWEN2)}, 1, NFC},
    {"megrez", {P(QWEN2)}, 1, NFC},
    {"f2llmv2", {P(QWEN2)}, 1, NFC},
    {"stablelm2", {P(QWEN2)}, 1, NFC},
    {"hunyuan", {P(QWEN2)}, 1, 0},
    {"solar-open", {P(QWEN2)}, 1, 0},
    {"grok-2", {P(QWEN2)}, 1, 0},
    {"qwen35", {P(QWEN35)}, 1, 0}, /* so the vectors that come with its vocabulary have it */
    {"ufakzeka", {P(UFAKZEKA)}, 1, 0},
    {"seed-coder", {P(SEED_CODER)}, 1, 0},
    {"bailingmoe", {P(BAILING)}, 1, 0},
    {"bailingmoe2", {P(BAILING)}, 1, 0},
    {"llada-moe", {P(BAILING)}, 1, 0},
    {"laguna", {P(LINES), P(QWEN2)}, 2, 0},
    {"tekken", {P(TEKKEN)}, 1, IGNORE_MERGES | ADD_BOS},
    {"gpt-4o", {P(O200K)}, 1, 0},
    {"llama4", {P(O200K)}, 1, 0},
    {"kanana2", {P(O200K)}, 1, 0},
    {"talkie", {P(O200K)}, 1, 0},
    {"minimax-m2", {P(O200K)}, 1, 0},
    {"youtu", {P(YOUTU_SCRIPTS), P(YOUTU)}, 2, IGNORE_MERGES},
    {"deepseek-llm", DEEPSEEK_LLM, 0},
    {"deepseek-coder", DEEPSEEK_CODER, 0},
    {"deepseek-v3", DEEPSEEK3, 0},
    {"hunyuan-dense", DEEPSEEK3, 0},
    {"joyai-llm", DEEPSEEK3, 0},
    {"hy_v4", DEEPSEEK3, 0},
    {"spark2_5", {P(DIGITS_3), P(CJK), P(SPARK), P(NUMBER)}, 4, 0},
    {"falcon", FALCON, 0},
    {"bloom", {P(BLOOM)}, 1, 0},
    {"gpt3-finnish", {P(BLOOM)}, 1, 0},
    {"poro-chat", {P(BLOOM)}, 1, 0},
    {"viking", {P(BLOOM), P(NUMBER)}, 2, 0},
};
enum { KNOWN = sizeof known / sizeof *known };

const lrk_splitting *lrk_splitting_find(const char *name)
{
    for (int i = 0; i < KNOWN; i++)
        if (strcmp(known[i].name, name) == 0) return &known[i];
    return NULL;
}

const lrk_splitting *lrk_splitting_at(size_t i) { return i < KNOWN ? &known[i] : NULL; }

void lrk_splitting_names(lrk_buf *out)
{
    for (int i = 0; i < KNOWN; i++) lrk_buf_printf(out, "%s%s", i ? ", " : "", known[i].name);
}
