"""The components of claims: IDs that chains of claims connect, accepted or rejected. No event affects another component
(law 9 of docs/rules.md), so components can be folded in parallel."""

from pyspark.sql import Window
from pyspark.sql import functions as F


def labels(edges, keep):
    """A label for each node of ``edges``, which has the columns ``u`` and ``v``: equal in a component, and different
    between two. A node that is missing in the result is its own label.

    Large-star and small-star (Kiveris et al., 2014): each round connects nodes to smaller ones, until every component
    is a star around its smallest node. ``keep`` stores a DataFrame, so that a round is not computed again.
    """
    edges = keep(edges.where("u <> v").distinct(), "edges")
    before = None
    rounds = 0
    while True:
        edges = keep(small_star(large_star(edges)), "edges")
        rounds += 1
        # The sum of the hashes of all edges stands for the edges.
        hashes = F.sum(F.xxhash64("u", "v").cast("decimal(38,0)"))
        now = tuple(edges.agg(F.count("*"), hashes).collect()[0])
        if now == before:
            return edges.select(F.col("u").alias("node"), F.col("v").alias("label")), rounds
        before = now


def least(edges):
    """Adds the least of a node and its neighbours to each of its edges."""
    return edges.withColumn("m", F.least("u", F.min("v").over(Window.partitionBy("u"))))


def large_star(edges):
    """Connects the larger neighbours of each node to the least of its neighbours and itself."""
    both = edges.select("u", "v").union(edges.select(F.col("v").alias("u"), F.col("u").alias("v")))
    larger = least(both).where("v > u")
    return larger.select(F.col("v").alias("u"), F.col("m").alias("v")).distinct()


def small_star(edges):
    """Connects each node and its smaller neighbours to the least of them. ``u`` is the larger one of an edge."""
    found = least(edges.select(F.greatest("u", "v").alias("u"), F.least("u", "v").alias("v")))
    smaller = found.where("v <> m").select(F.col("v").alias("u"), F.col("m").alias("v"))
    return smaller.union(found.select("u", F.col("m").alias("v"))).distinct()
