/* data/chat_named.c -- which template a recipe means, and the templates that have a name here. */
#include "data/chat.h"

#include "base/text.h"

#include <string.h>

static const struct {
    const char *name, *source;
} named[] = {
    {"chatml",
     "{% for message in messages %}"
     "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
    {"llama3", "{{ bos_token }}{% for message in messages %}"
               "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
               "{{ message['content'] | trim }}{{ '<|eot_id|>' }}"
               "{% endfor %}"
               "{% if add_generation_prompt %}"
               "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"},
    {"alpaca",
     "{{ bos_token }}{% if messages[0]['role'] != 'system' %}"
     "{{ 'Below is an instruction that describes a task. Write a response that appropriately "
     "completes the request.\\n\\n' }}{% endif %}"
     "{% for message in messages %}"
     "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
     "{% elif message['role'] == 'user' %}"
     "{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}"
     "{% elif message['role'] == 'assistant' %}"
     "{{ '### Response:\\n' + message['content'] }}{{ eos_token }}"
     "{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
     "{% else %}{{ raise_exception('alpaca knows system, user and assistant turns') }}{% endif %}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"},
};

lrk_status lrk_chat_template(lrk_template **out, const char *choice, const char *own,
                             const char *where, lrk_err *err)
{
    *out = NULL;
    lrk_nearest near = {.word = choice};
    if (strcmp(choice, "tokenizer_default") == 0) {
        LRK_REQUIRE(err, own, LRK_EINPUT,
                    "%s: no chat template in this model; set chat_template to chatml or to a file",
                    where);
        const lrk_status s = lrk_template_compile(out, own, strlen(own), "chat_template", err);
        return s == LRK_OK ? s : lrk_err_prefix(err, s, "%s", where);
    }
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (strcmp(choice, named[i].name) == 0)
            return lrk_template_compile(out, named[i].source, strlen(named[i].source), choice, err);
        lrk_nearest_offer(&near, named[i].name);
    }
    if (strchr(choice, '/') || strchr(choice, '.')) return lrk_template_load(out, choice, err);
    if (near.best)
        return lrk_fail(err, LRK_EUSAGE, "chat_template: %s: unknown, did you mean %s?", choice,
                        near.best);
    return lrk_fail(
        err, LRK_EUSAGE,
        "chat_template: %s: expected tokenizer_default, chatml, llama3, alpaca or the path "
        "of a .jinja file",
        choice);
}
