/*
 * Over each file of the table an empty file is mounted that nobody may read, over each folder such a folder.
 * A link is followed: what it leads to is hidden.
 */
#include "workers/exec/sandbox_mask.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/confine/mountapi.h"
#include "protocol/base/mem.h"

/* Patterns as in the shell. What is missing is no error. */
static const char *const secrets[] = {
    /* passwords and who may become whom */
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/security/opasswd*",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/doas.conf",
    "/var/lib/sss",
    "/etc/sssd",
    /* keys of services */
    "/etc/ssh/ssh_host_*_key",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/pki/private",
    "/etc/letsencrypt",
    "/etc/krb5.keytab",
    "/etc/ipsec.secrets",
    "/etc/ipsec.d/private",
    "/etc/swanctl",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/bind/*.key",
    "/etc/rndc.key",
    "/etc/ppp/*-secrets",
    "/etc/exim4/passwd.client",
    "/etc/postfix/*passwd*",
    "/etc/mysql/debian.cnf",
    "/etc/nginx/ssl",
    "/etc/apache2/ssl",
    "/etc/httpd/conf/*.key",
    "/etc/postgresql/*.key",
    "/etc/docker/key.json",
    "/etc/kubernetes",
    "/etc/rancher",
    "/etc/libvirt/secrets",
    /* of networks and disks */
    "/etc/NetworkManager/system-connections",
    "/etc/netplan",
    "/etc/wpa_supplicant",
    "/etc/iwd",
    "/etc/cryptsetup-keys.d",
    "/etc/luks*",
    "/etc/iscsi",
    "/etc/multipath",
    "/etc/cifs-*",
    /* handed to services, or kept for them */
    "/etc/credstore*",
    "/usr/lib/credstore*",
    "/var/lib/systemd/credential.secret",
    "/var/lib/systemd/random-seed",
    "/var/lib/cloud",
    "/var/lib/NetworkManager",
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/lib/libvirt",
    "/var/lib/machines",
    "/var/spool/cron",
    "/var/backups",
    "/var/mail",
    "/var/spool/mail",
    /* memory, and what unlocks disks */
    "/swapfile*",
    "/swap.img",
    "/var/swap*",
    "/var/crash",
    "/var/lib/systemd/coredump",
    "/boot/initr*",
    "/boot/*/user.cfg",
    /* this agent's */
    "/etc/bulkhead",
    "/var/lib/bulkhead",
    "/var/log/bulkhead",
    /* of the kernel */
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kallsyms",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/latency_stats",
    "/proc/acpi",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/kernel/security",
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/devices/virtual/powercap",
};

/* Length of the first `n` components of a pattern, or 0: it has fewer. */
static size_t length_of(const char *pattern, unsigned n)
{
    size_t len = 0;

    for (; n > 0; n--) {
        if (pattern[len] != '/')
            return 0;
        len += 1 + strcspn(pattern + len + 1, "/");
    }
    return len;
}

/* True if the first `len` bytes of a pattern match the whole of `path`. */
static bool matches(const char *pattern, size_t len, const char *path)
{
    size_t literal = strcspn(pattern, "*?[");
    char part[PATH_MAX];

    if (strncmp(pattern, path, literal < len ? literal : len) != 0)
        return false;
    if (literal >= len)
        return path[len] == '\0';
    (void)snprintf(part, sizeof(part), "%.*s", (int)len, pattern);
    return fnmatch(part, path, FNM_PATHNAME | FNM_PERIOD) == 0;
}

enum bh_secret bh_sandbox_secret(const char *path)
{
    enum bh_secret found = BH_SECRET_NOT;
    unsigned depth = 0;

    if (path[1] == '\0')
        return BH_SECRET_BELOW;
    for (const char *at = path; *at; at++)
        depth += *at == '/';
    for (size_t i = 0; i < BH_ARRAY_SIZE(secrets) && found != BH_SECRET; i++) {
        size_t len = length_of(secrets[i], depth);

        if (len && matches(secrets[i], len, path))
            found = secrets[i][len] ? BH_SECRET_BELOW : BH_SECRET;
    }
    return found;
}

struct masks {
    int folder, file;
};

/* A copy of the empty folder or file, whose mount is read-only, over `path`. */
static int cover(const struct masks *masks, const char *path)
{
    struct stat st;
    _cleanup_close_ int target = -1, copy = -1;

    target = bh_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, RESOLVE_NO_MAGICLINKS);
    if (target == -ENOENT)
        return 0;
    if (target < 0)
        return target;
    if (fstat(target, &st) < 0)
        return -errno;
    copy = bh_open_tree(S_ISDIR(st.st_mode) ? masks->folder : masks->file, "",
                        BH_OPEN_TREE_CLONE | AT_EMPTY_PATH);
    return copy < 0 ? copy : bh_move_mount(copy, target);
}

static int cover_all(const struct masks *masks)
{
    int r = 0;

    for (size_t i = 0; i < BH_ARRAY_SIZE(secrets) && r == 0; i++) {
        glob_t found = { 0 };
        int answer = glob(secrets[i], GLOB_NOSORT, NULL, &found);

        if (answer != 0 && answer != GLOB_NOMATCH)
            r = -ENOMEM;
        for (size_t j = 0; answer == 0 && j < found.gl_pathc && r == 0; j++)
            r = cover(masks, found.gl_pathv[j]);
        globfree(&found);
    }
    return r;
}

static int open_masks(int scratch, struct masks *ret)
{
    if (mkdirat(scratch, "folder", 0) < 0 || mknodat(scratch, "file", S_IFREG, 0) < 0)
        return -errno;
    ret->folder = openat(scratch, "folder", O_PATH | O_CLOEXEC);
    ret->file = openat(scratch, "file", O_PATH | O_CLOEXEC);
    return ret->folder < 0 || ret->file < 0 ? -errno : 0;
}

int bh_sandbox_mask(struct bh_tree *tree, const char *scratch)
{
    struct masks masks = { -1, -1 };
    _cleanup_close_ int place = -1;
    int r = bh_tree_tmpfs(tree, scratch, MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=16k,mode=0700");

    if (r < 0)
        return r;
    place = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
    r = place < 0 ? -errno : open_masks(place, &masks);
    if (r == 0)
        r = bh_tree_read_only(scratch, MS_NOSUID | MS_NODEV | MS_NOEXEC);
    if (r == 0)
        r = cover_all(&masks);
    bh_close_p(&masks.folder);
    bh_close_p(&masks.file);
    bh_close_p(&place);
    if (r == 0 && (umount2(scratch, MNT_DETACH) < 0 || rmdir(scratch) < 0))
        r = -errno;
    return r;
}
