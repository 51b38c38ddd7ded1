"""Sums the orders by region and writes a report into /reports. Exits 1, with the line, on an order it cannot read."""

import csv
import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

ORDERS = Path(__file__).with_name("orders.csv")
REPORTS = Path(os.environ.get("REPORTS_DIR", "/reports"))


def totals() -> dict[str, tuple[int, Decimal]]:
    """Number of orders and their sum, by region."""
    sums: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    with ORDERS.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            count, amount = sums[row["region"]]
            sums[row["region"]] = (count + 1, amount + Decimal(row["amount"]))
    return dict(sorted(sums.items()))


def main() -> int:
    now = datetime.now(UTC)
    title = os.environ.get("REPORT_TITLE", "Orders")
    print(f"reading {ORDERS.name}")
    try:
        sums = totals()
    except (InvalidOperation, KeyError) as error:
        print(f"{ORDERS.name} holds an order that cannot be read: {error!r}", file=sys.stderr)
        return 1
    lines = [f"# {title}", "", f"{now:%Y-%m-%d %H:%M} UTC", "", "| region | orders | amount |", "| --- | ---: | ---: |"]
    for region, (count, amount) in sums.items():
        print(f"{region}: {count} orders, {amount}")
        lines.append(f"| {region} | {count} | {amount} |")
    path = REPORTS / f"{now:%Y-%m-%d-%H%M%S}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
