#!/bin/bash
# ./dev run: the built agent on a socket below build/run, its status, and a short tour of what a client may and may not
# do and of the trail it leaves. Then the agent serves until ^C. With --once it ends after the tour.
# The policy is the shipped profile `standard` and one rule for a folder that is made here.
set -euo pipefail
cd "$(dirname "$0")/.."

once=${1:-}
top=$PWD
run=$top/build/run
((EUID == 0)) || run=$top/build/run-$(id -un)
socket=$run/agent.sock
agent=

# A socket's path ends at 107 bytes. In a deep folder the demonstration moves to one with a short name.
if ((${#socket} > 107)); then
    run=/tmp/bulkhead-run-$EUID
    socket=$run/agent.sock
fi

ctl()
{
    "$top/build/bulkheadctl" "$@" --state-dir "$run"
}

title()
{
    printf '\n--- %s\n' "$*"
}

# Shows a command as one would type it, then runs it. A failure is part of some steps.
try()
{
    printf '$ bulkheadctl'
    printf ' %q' "$@" --state-dir "$run"
    echo
    ctl "$@" || printf '(exit status %d)\n' $?
}

furnish()
{
    mkdir -p "$run/demo"
    chmod 700 "$run"
    chmod 755 "$run/demo"
    echo "These words are in a folder that a rule allows." >"$run/demo/readme.txt"
    echo "These are not." >"$run/secret.txt"
    cat >"$run/policy" <<END
policy 1
commands 49
use standard

# The demonstration: files beneath one folder may be read, nothing else.
rule demo: allow @file-read {
    path beneath "$run/demo"
}
END
    chmod 600 "$run/policy"
}

start()
{
    "$top/build/bulkhead" --policy "$run/policy" -m unix-listen -p "$socket" -t "$run" &
    agent=$!
    trap finish EXIT
    trap 'exit 0' INT TERM HUP
    for ((i = 0; i < 200; i++)); do
        ctl call guest-ping >"$run/first-answer" 2>&1 && return 0
        kill -0 "$agent" 2>/dev/null || break
        sleep 0.05
    done
    echo "The agent does not answer; what it said stands above. The client's last word:" >&2
    cat "$run/first-answer" >&2
    exit 1
}

finish()
{
    trap - EXIT
    kill "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
}

tour()
{
    local refusal record
    title "A ping and a question, answered by a front that holds nothing and a worker that only reads"
    try call guest-ping
    try call guest-get-osinfo

    title "A file that the rule 'demo' allows"
    try read "$run/demo/readme.txt"

    title "A file that no rule covers: refused, with a code and the number of its audit record"
    refusal=$(try read "$run/secret.txt" 2>&1)
    echo "$refusal"
    record=$(sed -n 's/.*record \([0-9]*\)).*/\1/p' <<<"$refusal")

    title "Why it was refused: each rule that was tried"
    try policy explain --record "${record:?the refusal named no record: $refusal}"

    title "The audit records of all this"
    try audit show
    title "Nobody has changed them since"
    try audit verify

    title "Who runs, as whom, behind which fences"
    try status
}

farewell()
{
    title "It serves. From a second terminal:"
    cat <<END
    $top/build/bulkheadctl call guest-info --state-dir $run
    $top/build/bulkheadctl status --state-dir $run
    python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("$socket"); s.send(b"{\"execute\":\"guest-ping\"}"); print(s.recv(100))'
    The policy is $run/policy; this puts in force what you change there:
    $top/build/bulkheadctl reload --state-dir $run
^C ends it.
END
    wait "$agent"
}

[[ -x build/bulkhead && -x build/bulkheadctl ]] || { echo "Not built: ./dev build" >&2; exit 1; }
furnish
title "Starting Bulkhead on $socket"
((EUID == 0)) || echo "As an ordinary user: the status below says which fences that costs."
start
title "Its status"
try status
tour
[[ $once == --once ]] || farewell
