/*
 * Commands and classes -> sets of commands. The generated tables are the only list.
 *
 * guest-file-open is in both file classes; which one was named decides the verbs. The
 * other commands in both (close, seek, flush) act on what was opened: an allow of
 * either class grants them, a deny of one class leaves them to the other.
 */
#include <string.h>

#include "policy/lang/model.h"
#include "protocol/commands.h"

#define READ_CLASS (1u << BH_CLASS_FILE_READ)
#define WRITE_CLASS (1u << BH_CLASS_FILE_WRITE)
#define FILE_CLASSES (READ_CLASS | WRITE_CLASS)

static int find_class(const char *name)
{
    for (int i = 0; i < BH_CLASS_COUNT; i++)
        if (strcmp(bh_class_names[i], name) == 0)
            return i;
    return -1;
}

/* Is the command named, by classes alone? */
static bool named_by(uint32_t classes, unsigned command, enum bh_effect effect)
{
    uint32_t of = bh_commands[command].classes;

    if (effect == BH_EFFECT_DENY && command != BH_CMD_GUEST_FILE_OPEN && (of & FILE_CLASSES) == FILE_CLASSES)
        return (classes & FILE_CLASSES) == FILE_CLASSES;
    return of & classes;
}

bool bh_targets_add(struct bh_targets *targets, struct bh_str word, enum bh_effect effect)
{
    int class = find_class(word.ptr), command = bh_command_find(word.ptr, word.len);

    if (class >= 0) {
        targets->classes |= 1u << class;
        targets->others = targets->others || !((1u << class) & FILE_CLASSES);
        for (unsigned i = 0; i < BH_CMD_COUNT; i++)
            if (named_by(targets->classes, i, effect))
                bh_mask_add(targets->mask, i);
        return true;
    }
    if (command < 0)
        return false;
    bh_mask_add(targets->mask, (unsigned)command);
    if (command == BH_CMD_GUEST_EXEC &&
        effect == BH_EFFECT_ALLOW) /* whoever starts something may ask about it */
        bh_mask_add(targets->mask, BH_CMD_GUEST_EXEC_STATUS);
    targets->bare_open = targets->bare_open || command == BH_CMD_GUEST_FILE_OPEN;
    targets->others = targets->others || !(bh_commands[command].classes & FILE_CLASSES);
    return true;
}

uint16_t bh_targets_verbs(const struct bh_targets *targets)
{
    uint16_t verbs = targets->bare_open ? BH_VERB_ALL : 0;

    if (targets->classes & READ_CLASS)
        verbs |= BH_VERB_READ;
    if (targets->classes & WRITE_CLASS)
        verbs |= BH_VERB_ALL & ~BH_VERB_READ;
    return verbs;
}
