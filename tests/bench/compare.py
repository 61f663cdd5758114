"""qemu-ga and this agent side by side, and each ratio against targets.json. Arguments are those of bench.py."""

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
SERVED = "ping,pipe,info,fread,fwrite,exec,sandbox,cold,memory,idle,hol,resil,growth,freeze"
PEER, OURS = "qemu-ga", "bulkhead"


def command(arguments, result):
    given = [] if any(word.startswith("--only") for word in arguments) else ["--only", SERVED]
    return [sys.executable, "-B", str(HERE / "bench.py"), *given, "--json", result,
            "--agent", f"{PEER}=/usr/sbin/qemu-ga -m unix-listen -p {{sock}} -t {{dir}}",
            "--agent", f"{OURS}={BUILD}/bulkhead --policy {{policy}} -m unix-listen -p {{sock}} -t {{dir}}", *arguments]


def judge(row, target):
    """One line of the closing table, and whether the target is met; None if the metric was not measured."""
    if "at_most" in target or "at_least" in target:
        ours = row["agents"].get(OURS, {}).get("median")
        limit = target.get("at_most", target.get("at_least"))
        met = ours is not None and (ours <= limit if "at_most" in target else ours >= limit)
        return None if ours is None else (f"{ours:.4g} {row['unit']}", f"{limit:g} {row['unit']}", met)
    ratio = row["ratios"].get(f"{OURS}/{PEER}", {}).get("median")
    if ratio is None:
        return None
    met = ratio <= target["ratio"] if row["better"] == "lower" else ratio >= target["ratio"]
    return f"{ratio:.3g}", f"{'<=' if row['better'] == 'lower' else '>='} {target['ratio']:g}", met


def closing(rows, targets):
    print(f"\n{'against the targets':48} {'measured':>14} {'target':>14}")
    missed = 0
    for name, target in targets.items():
        verdict = judge(rows[name], target) if name in rows else None
        if verdict:
            missed += not verdict[2]
            print(f"{name:48} {verdict[0]:>14} {verdict[1]:>14}  {'' if verdict[2] else 'missed'}")
    print(f"{missed} missed. Figures without a unit are ratios, {OURS} / {PEER}.")


def main():
    targets = json.loads((HERE / "targets.json").read_text())
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        status = subprocess.run(command(sys.argv[1:], result.name)).returncode
        text = pathlib.Path(result.name).read_text()
        if status == 0 and text:  # there is none of --help and --list
            rows = {row["metric"]: row for row in json.loads(text)["rows"]}
            closing(rows, targets)
    return status


if __name__ == "__main__":
    sys.exit(main())
