# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench's rows: a figure, the limit that it is held against, and whether the aim is met."""

import json
import operator
import statistics

COMPARISONS = {"<=": operator.le, ">=": operator.ge}
PERCENTILES = "min_us", "p50_us", "p99_us"


class Table:
    def __init__(self, out):
        self.rows = []
        self.out = out

    def add(self, name, value, unit, limit=None, aim="", ratio=None, base=0, latency=None):
        """`aim`: "<= 1.3 x" of the limit, or "<= +2 MiB" above it; nothing when the figure is only
        shown. `base`: what the ratio leaves out on both sides. `latency`: the daemon's rounds and the
        limit's, for the plot."""
        ok = None
        if aim.endswith(" x") and limit:
            ratio = ratio if ratio is not None else (value - base) / (limit - base)
            compare, factor, _ = aim.split()
            ok = COMPARISONS[compare](ratio, float(factor))
        elif aim.startswith("<= +"):
            ok = value - limit <= float(aim.split()[1][1:])
            ratio = value / limit if limit else None
        elif limit:
            ratio = ratio if ratio is not None else value / limit
        row = {"name": name, "value": value, "unit": unit, "limit": limit, "ratio": ratio,
               "aim": aim or None, "ok": ok}
        if latency:
            row["latency"] = [{key: median(rounds, key) for key in PERCENTILES} for rounds in latency]
        self.rows.append(row)
        print(self.line(row), file=self.out, flush=True)
        return row

    def note(self, text):
        print(f"  {text}", file=self.out, flush=True)

    def line(self, row):
        cells = [f"{row['name']:<52}", f"{number(row['value']):>10} {row['unit']:<6}",
                 f"{number(row['limit']):>10}", f"{'' if row['ratio'] is None else format(row['ratio'], '.2f'):>7}",
                 f"{row['aim'] or 'shown':>11}", {None: "", True: "ok", False: "SHORT"}[row["ok"]]]
        return "  ".join(cells).rstrip()

    def head(self):
        print(f"{'figure':<52}  {'daemon':>10} {'':<6}  {'limit':>10}  {'ratio':>7}  {'aim':>11}",
              file=self.out, flush=True)

    def missed(self):
        return [row for row in self.rows if row["ok"] is False]

    def markdown(self):
        lines = ["| figure | daemon | limit | ratio | aim | met |", "|---|---:|---:|---:|---|---|"]
        for r in self.rows:
            ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
            met = {None: "", True: "yes", False: "**no**"}[r["ok"]]
            limit = "" if r["limit"] is None else f"{number(r['limit'])} {r['unit']}"
            lines.append(f"| {r['name']} | {number(r['value'])} {r['unit']} | {limit} | {ratio} |"
                         f" {r['aim'] or 'shown'} | {met} |")
        return "\n".join(lines) + "\n"

    def write(self, path, machine):
        with open(path, "w") as f:
            json.dump({"machine": machine, "rows": self.rows}, f, indent=1)
            f.write("\n")
        path.with_name("ratios.data").write_text("".join(self.ratios()))
        path.with_name("latencies.data").write_text("".join(self.latencies()))

    def ratios(self):
        """For gnuplot: how many times the limit's cost, and what is aimed at."""
        for row in self.rows:
            if row["ratio"] and (row["aim"] or "").endswith(" x"):
                compare, factor, _ = row["aim"].split()
                cost, aim = row["ratio"], float(factor)
                if compare == ">=":
                    cost, aim = 1 / cost, 1 / aim
                yield f'"{row["name"]}" {cost:.3f} {aim:.3f} {0 if row["ok"] else 1}\n'

    def latencies(self):
        for row in self.rows:
            if "latency" in row:
                figures = " ".join(f"{side[key]:.1f}" for side in row["latency"] for key in PERCENTILES)
                yield f'"{row["name"].removesuffix(", p50")}" {figures}\n'


def number(value):
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def interleaved(rounds, *measures):
    """Runs the measures in turn, so that whatever else the machine does hits all of them. A list of
    results for each."""
    results = [[] for _ in measures]
    for n in range(rounds):
        order = range(len(measures)) if n % 2 == 0 else reversed(range(len(measures)))
        for i in order:
            results[i].append(measures[i]())
    return results


def least(results, key):
    return min(r[key] for r in results)


def most(results, key):
    return max(r[key] for r in results)


def median(results, key):
    return statistics.median(r[key] for r in results)
