/*
 * Accounts out of the text of passwd and group: no name service, no allocation. root is
 * uid 0 whatever the files say.
 */
#include <string.h>

#include "policy/lang/model.h"

/* Cuts the next piece up to `end` off the text. */
static struct bh_str cut(struct bh_str *text, char end)
{
    const char *stop = text->len ? memchr(text->ptr, end, text->len) : NULL;
    struct bh_str piece = { text->ptr, stop ? (uint32_t)(stop - text->ptr) : text->len };
    uint32_t taken = stop ? piece.len + 1 : piece.len;

    text->ptr += taken;
    text->len -= taken;
    return piece;
}

static bool is(struct bh_str text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.ptr, name, text.len) == 0;
}

/* A decimal id below 2^32 - 1, which means "none" to the kernel. */
static bool parse_id(struct bh_str text, uint32_t *ret)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 10)
        return false;
    for (uint32_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (value >= UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool find_ids(struct bh_str passwd, const char *name, struct bh_account *account)
{
    while (passwd.len > 0) {
        struct bh_str line = cut(&passwd, '\n');

        if (!is(cut(&line, ':'), name))
            continue;
        (void)cut(&line, ':');
        return parse_id(cut(&line, ':'), &account->uid) && parse_id(cut(&line, ':'), &account->gid);
    }
    return false;
}

static bool has_member(struct bh_str members, const char *name)
{
    while (members.len > 0)
        if (is(cut(&members, ','), name))
            return true;
    return false;
}

static void find_groups(struct bh_str group, const char *name, struct bh_account *account)
{
    while (group.len > 0) {
        struct bh_str line = cut(&group, '\n');
        uint32_t gid;

        (void)cut(&line, ':');
        (void)cut(&line, ':');
        if (!parse_id(cut(&line, ':'), &gid) || !has_member(line, name))
            continue;
        if (account->n_groups < BH_GROUPS_MAX)
            account->groups[account->n_groups++] = gid;
        else
            account->cut = true;
    }
}

bool bh_account_find(struct bh_str passwd, struct bh_str group, const char *name, struct bh_account *ret)
{
    struct bh_account account = { 0 };
    bool found = find_ids(passwd, name, &account);

    if (strcmp(name, "root") == 0)
        account = (struct bh_account){ .uid = 0, .gid = found ? account.gid : 0 };
    else if (!found)
        return false;
    find_groups(group, name, &account);
    *ret = account;
    return true;
}

bool bh_group_find(struct bh_str group, const char *name, uint32_t *ret)
{
    if (parse_id(bh_str_of(name), ret))
        return true;
    while (group.len > 0) {
        struct bh_str line = cut(&group, '\n');

        if (!is(cut(&line, ':'), name))
            continue;
        (void)cut(&line, ':');
        return parse_id(cut(&line, ':'), ret);
    }
    return false;
}
