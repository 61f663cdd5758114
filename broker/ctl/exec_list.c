/* bulkheadctl exec --list: the executions of a channel, for eyes or as the agent tells them. */
#include <inttypes.h>
#include <string.h>

#include "broker/ctl/exec.h"
#include "broker/ctl/statusfile.h"

static void print_cell(int width, struct json_object *row, const char *name)
{
    const char *text = ctl_json_text(row, name, "?");
    int len = (int)strlen(text);

    ctl_print_clean(stdout, text);
    printf("%*s", len < width ? width - len + 1 : 1, "");
}

static void print_row(struct json_object *row)
{
    struct json_object *exited;
    const bool over = json_object_object_get_ex(row, "exited", &exited) && json_object_get_boolean(exited);
    const int64_t ms = ctl_json_number(row, "running-ms");

    printf("%-16" PRId64 " %-7s %8" PRId64 ".%" PRId64 " %10" PRId64 " %10" PRId64 " ",
           ctl_json_number(row, "pid"), over ? "over" : "running", ms / 1000, ms % 1000 / 100,
           ctl_json_number(row, "out-bytes"), ctl_json_number(row, "err-bytes"));
    print_cell(16, row, "user");
    print_cell(16, row, "rule");
    ctl_print_clean(stdout, ctl_json_text(row, "program", "?"));
    putchar('\n');
}

static int print(const struct ctl_exec *x, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_array))
        return ctl_fail(CTL_FAILED, "the agent's answer is no list");
    if (x->ctl->json) {
        puts(json_object_to_json_string_ext(value, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
        return CTL_OK;
    }
    printf("%-16s %-7s %10s %10s %10s %-16s %-16s %s\n", "EXECUTION", "STATE", "SECONDS", "OUT", "ERR",
           "USER", "RULE", "PROGRAM");
    for (size_t i = 0; i < json_object_array_length(value); i++)
        print_row(json_object_array_get_idx(value, i));
    return CTL_OK;
}

int ctl_exec_list(struct ctl_exec *x)
{
    struct json_object *reply, *value;
    int status = ctl_agent_open(&x->agent, x->ctl, x->socket, x->channel, CTL_TIMEOUT_S);

    if (status == CTL_OK)
        status = ctl_agent_ask(&x->agent, "bulkhead-exec-list", NULL, &reply, &value);
    if (status == CTL_OK) {
        status = print(x, value);
        json_object_put(reply);
    }
    ctl_agent_close(&x->agent);
    return status;
}
