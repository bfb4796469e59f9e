"""A shop's customers: what is known about each of them at any moment.

The orders in orders.csv are made up. Put your own file in their place, and change the columns below.
"""

import polars as pl

import gnomon as gn

customer = gn.Entity("customer", keys={"customer": pl.String}, description="Who buys")

orders = gn.FileSource("orders", path="orders.csv", timestamp="ordered_at", event_id="order_id")

# A state group: what the newest row says.
last_order = gn.FeatureGroup(
    "last_order",
    entity=customer,
    source=orders,
    max_age="90d",
    features=[
        gn.Feature("category", pl.String, description="What was bought last"),
        gn.Feature("large", pl.Boolean, expr="amount > 100"),
    ],
)

# An event group: windows over the rows before the moment asked about.
spending = gn.FeatureGroup(
    "spending",
    entity=customer,
    source=orders,
    features=[
        gn.count(windows=["7d", "30d"], name="orders"),
        gn.mean("amount", windows=["30d"]),
        gn.sum("items", windows=["30d"], default=0),
        gn.time_since_last(name="idle"),
    ],
)


# An on-demand function: features and values of the request, computed when asked for.
@gn.on_demand(
    inputs=[spending["amount_mean_30d"], gn.Request("basket", pl.Float64)],
    returns={"basket_share": pl.Float64},
)
def basket_share(amount_mean_30d: pl.Series, basket: pl.Series) -> pl.Series:
    """The basket's value, measured by what the customer usually spends."""
    return basket / amount_mean_30d


shop_model = gn.FeatureService(
    "shop_model",
    features=[last_order, spending, basket_share],
    description="Will this visit end in an order?",
)
