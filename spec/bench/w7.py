"""W7: echo 20,000 nested records, default chunks."""

import bench

ITEMS = 20_000


def record(i):
    return {
        "id": i,
        "name": f"record {i}",
        "active": i % 2 == 0,
        "score": i * 0.5,
        "tags": ["red", "green", "blue"],
        "position": {"x": i, "y": -i, "z": i * 0.25},
        "parts": [{"id": i + 1, "kind": "leaf"}, {"id": i + 2, "kind": "leaf"}],
    }


def weigh(r):
    return (
        r["id"] + len(r["name"]) + r["active"] + r["score"] * 2 + len("".join(r["tags"]))
        + r["position"]["x"] + r["position"]["y"] + r["position"]["z"] * 4
        + r["parts"][0]["id"] + r["parts"][1]["id"] + len(r["parts"][1]["kind"])
    )


if __name__ == "__main__":
    records = [record(i) for i in range(1, ITEMS + 1)]
    bench.throughput(
        ITEMS,
        lambda pool: pool.map(bench.echo, records),
        lambda results: sum(weigh(r) for r in results),
    )
