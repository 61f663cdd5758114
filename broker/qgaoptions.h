/*
 * qemu-ga's command line as getopt_long takes it: the supervisor obeys it, and
 * `bulkheadctl policy migrate` reads one that was meant for qemu-ga. Of qemu-ga 10.2; `blacklist` is
 * the name that block-rpcs had up to 9.0.
 *
 * Trust: in = nothing; out = CHECKED (constants); called by = supervisor, bulkheadctl
 */
#pragma once

#include <getopt.h>

#define BH_QGA_BLACKLIST "blacklist"

#define BH_QGA_SHORT_OPTIONS "c:m:p:l:f:F::t:vVdb:a:Drh"

/* Rows of struct option; `val` is the letter. */
/* clang-format off */
#define BH_QGA_LONG_OPTIONS                                \
    { "config", required_argument, NULL, 'c' },            \
    { "method", required_argument, NULL, 'm' },            \
    { "path", required_argument, NULL, 'p' },              \
    { "logfile", required_argument, NULL, 'l' },           \
    { "pidfile", required_argument, NULL, 'f' },           \
    { "fsfreeze-hook", optional_argument, NULL, 'F' },     \
    { "statedir", required_argument, NULL, 't' },          \
    { "verbose", no_argument, NULL, 'v' },                 \
    { "version", no_argument, NULL, 'V' },                 \
    { "daemonize", no_argument, NULL, 'd' },               \
    { "block-rpcs", required_argument, NULL, 'b' },        \
    { BH_QGA_BLACKLIST, required_argument, NULL, 'b' },    \
    { "allow-rpcs", required_argument, NULL, 'a' },        \
    { "dump-conf", no_argument, NULL, 'D' },               \
    { "retry-path", no_argument, NULL, 'r' },              \
    { "help", no_argument, NULL, 'h' }
/* clang-format on */
