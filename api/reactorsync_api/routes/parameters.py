"""Query parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from reactorsync_api import listing


def _listing_query(
    namespace: Annotated[str | None, Query(description="Only objects of this namespace.")] = None,
    label_selector: Annotated[
        str,
        Query(alias="labelSelector", description="As kubectl's `-l`.", examples=["site=bruce"]),
    ] = "",
    field_selector: Annotated[
        str,
        Query(
            alias="fieldSelector",
            description="As kubectl's `--field-selector`, on any field.",
            examples=["spec.design=Candu6"],
        ),
    ] = "",
    search: Annotated[str, Query(description="Text within name, site or country.")] = "",
    sort: Annotated[str, Query(description="Sort key; `-` before it reverses.")] = "name",
    limit: Annotated[int, Query(ge=1, le=1000, description="Objects per page.")] = 100,
    cursor: Annotated[str, Query(description="`nextCursor` of the page before.")] = "",
) -> listing.Query:
    return listing.Query(
        namespace=namespace,
        label_selector=label_selector,
        field_selector=field_selector,
        search=search,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )


ListingQuery = Annotated[listing.Query, Depends(_listing_query)]
"""Filter, sort and page of a list."""
