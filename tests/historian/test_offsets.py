"""Offsets that nobody needs any more go; those in use never do."""

from reactorsync.bus.port import Partition
from reactorsync_historian.main import open_link
from reactorsync_historian.offsets import OffsetStore
from reactorsync_historian.settings import HistorianSettings
from tests.historian.running import Storage


async def test_offsets_of_gone_topics_and_brokers_go_after_a_day(
    settings: HistorianSettings, offsets: OffsetStore, storage: Storage
) -> None:
    link = open_link(settings)
    others = OffsetStore("others")
    async with link.transaction() as connection:
        for incarnation, topic in [("now", "live"), ("now", "gone"), ("before", "live")]:
            await offsets.take_over(
                connection,
                incarnation=incarnation,
                partitions=[Partition(topic, 0), Partition(topic, 1)],
            )
        await others.take_over(connection, incarnation="before", partitions=[Partition("x", 0)])
    storage.execute(
        "UPDATE consumer_offset SET used_at = now() - interval '25 hours' WHERE partition = 0"
    )
    async with link.transaction() as connection:
        assert await offsets.forget_gone(connection, incarnation="now", topics={"live"}) == 2
    await link.close()

    assert set(storage.fetch("SELECT incarnation, topic, partition FROM consumer_offset")) == {
        ("now", "live", 0),
        ("now", "live", 1),
        ("now", "gone", 1),
        ("before", "live", 1),
        ("before", "x", 0),
    }


async def test_an_offset_taken_over_again_counts_as_of_use(
    settings: HistorianSettings, offsets: OffsetStore, storage: Storage
) -> None:
    link = open_link(settings)
    partitions = [Partition("gone", 0)]
    async with link.transaction() as connection:
        await offsets.take_over(connection, incarnation="now", partitions=partitions)
    storage.execute("UPDATE consumer_offset SET used_at = now() - interval '25 hours'")
    async with link.transaction() as connection:
        await offsets.take_over(connection, incarnation="now", partitions=partitions)
        assert await offsets.forget_gone(connection, incarnation="now", topics=()) == 0
    await link.close()
