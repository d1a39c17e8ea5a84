//! IDs that were read and are in no hash table yet, by the shards of the table.

use crate::index::{SHARDS, ShardSizes, shard_of};
use crate::memory::begin_on_huge_pages;

/// How many more IDs than usual find room in each shard of a small table. In tests none do.
const SPARE_ROOM: usize = if cfg!(test) { 0 } else { 8 };

/// An ID that is put into the index later.
#[derive(Clone, Copy, Default)]
pub(super) struct Hashed {
    pub(super) hash: u64,
    /// The number and the owner.
    pub(super) found: [u32; 2],
}

/// The IDs of a chunk of rows by shard, in the order of their numbers.
pub(super) struct ByShard {
    /// The same room for each shard, one after the other: one vector that can be on huge pages.
    rooms: Vec<Hashed>,
    room: usize,
    lens: Vec<usize>,
    /// Those that found no room.
    more: Vec<Hashed>,
}

impl ByShard {
    /// For so many IDs. Hashes are random, so few need more room than this.
    pub(super) fn new(ids: usize) -> Self {
        let room = ids / SHARDS + ids / (16 * SHARDS) + SPARE_ROOM;
        let mut rooms = Vec::with_capacity(SHARDS * room);
        begin_on_huge_pages(&rooms);
        rooms.resize(SHARDS * room, Hashed::default());
        Self {
            rooms,
            room,
            lens: vec![0; SHARDS],
            more: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, id: Hashed) {
        let shard = shard_of(id.hash);
        let len = &mut self.lens[shard];
        if *len == self.room {
            self.more.push(id);
            return;
        }
        self.rooms[shard * self.room + *len] = id;
        *len += 1;
    }

    pub(super) fn shard(&self, at: usize) -> impl Iterator<Item = &Hashed> {
        let more = self.more.iter().filter(move |id| shard_of(id.hash) == at);
        self.rooms[at * self.room..][..self.lens[at]]
            .iter()
            .chain(more)
    }
}

/// The IDs of an image that are put into the index in the end.
#[derive(Default)]
pub(super) struct Read(pub(super) Vec<ByShard>);

impl Read {
    pub(super) fn sizes(&self) -> ShardSizes {
        // A chunk has fewer IDs than can be numbered.
        let size = |(at, len): (usize, &usize)| (at, u32::try_from(*len).unwrap_or(u32::MAX));
        let in_rooms = self
            .0
            .iter()
            .flat_map(|chunk| chunk.lens.iter().enumerate().map(size));
        let more = self.0.iter().flat_map(|chunk| &chunk.more);
        ShardSizes::of(in_rooms.chain(more.map(|id| (shard_of(id.hash), 1))))
    }
}
