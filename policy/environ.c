/* The one list of environ.h, patterns as policy/match.h has them; its groups say whom a name would mislead.
 */
#include "policy/environ.h"

#include <string.h>

#include "policy/match.h"
#include "protocol/base/mem.h"

static const char *const refused[] = {
    /* the dynamic linker and the C library */
    "LD_*", "GLIBC_TUNABLES", "GCONV_PATH", "GETCONF_DIR", "LOCPATH", "NLSPATH", "MALLOC_*", "HOSTALIASES",
    "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_*", "NIS_PATH", "TZDIR", "GMON_OUT_PREFIX", "LIBPATH",
    /* shells */
    "BASH_*", "BASHOPTS", "SHELLOPTS", "ENV", "IFS", "PS4", "PROMPT_COMMAND", "CDPATH", "FPATH", "ZDOTDIR",
    "INPUTRC", "SHELL",
    /* interpreters */
    "PYTHON*", "PERL*", "RUBY*", "GEM_*", "BUNDLE_*", "NODE_*", "LUA_*", "PHPRC", "PHP_INI_SCAN_DIR", "TCL*",
    "AWKPATH", "AWKLIBPATH", "CLASSPATH", "JAVA_*", "_JAVA_*", "JDK_*", "DOTNET_*", "COMPlus_*", "GUILE_*",
    /* programs that start others */
    "EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESS*", "GIT_*", "SSH_*", "RSYNC_*", "TAR_OPTIONS",
    "SYSTEMD_*", "SUDO_*", "EXINIT", "VIM*", "MAKEFLAGS", "GDB*",
    /* libraries with modules of their own */
    "OPENSSL_*", "SSLKEYLOGFILE", "KRB5*", "GTK_*", "QT_*", "DBUS_*", "TERMINFO*", "TERMCAP", "TERMPATH",
    "CURL_HOME", "WGETRC"
};

bool bh_env_is_refused(const char *name, size_t len)
{
    for (size_t i = 0; i < BH_ARRAY_SIZE(refused); i++)
        if (bh_name_match(refused[i], strlen(refused[i]), name, len))
            return true;
    return false;
}

bool bh_env_name_ok(const char *name, size_t len)
{
    if (len == 0 || len > BH_ENV_NAME_MAX || (name[0] >= '0' && name[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != '_' && !(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= 'A' && name[i] <= 'Z') &&
            !(name[i] >= '0' && name[i] <= '9'))
            return false;
    return true;
}
