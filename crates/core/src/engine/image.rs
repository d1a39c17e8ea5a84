//! The image of a snapshot: the same state in pieces that are read quickly, on several threads.

use std::collections::BTreeMap;
use std::io;

/// A piece of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePiece {
    /// The part of the image. The engine decides what its parts are. 0 is not a part.
    pub part: u8,
    /// The number of the piece in its part: 0, 1, 2, … It is below [`MAX`](Self::MAX).
    pub number: u32,
}

impl ImagePiece {
    /// The most pieces that a part can have.
    pub const MAX: u32 = 1 << 24;
    /// The most bytes of a piece. A multiple of 16.
    pub const MAX_BYTES: usize = (512 << 10) - 256;
}

/// Takes the pieces of an image, in any order.
pub trait ImageSink {
    /// Takes a piece, which has at most [`ImagePiece::MAX_BYTES`].
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    fn put(&mut self, piece: ImagePiece, bytes: &[u8]) -> io::Result<()>;
}

/// Gives the pieces of an image, in any order, to several threads at once.
pub trait ImageSource: Sync {
    /// Calls `take` once with the bytes of a piece.
    ///
    /// # Errors
    ///
    /// If there is no such piece, or it cannot be read.
    fn piece(&self, piece: ImagePiece, take: &mut dyn FnMut(&[u8])) -> io::Result<()>;

    /// Calls `task` once with each number below `tasks`, in any order, maybe on several threads. Returns when
    /// all calls have.
    fn each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
}

/// An image in memory.
impl ImageSink for BTreeMap<ImagePiece, Vec<u8>> {
    fn put(&mut self, piece: ImagePiece, bytes: &[u8]) -> io::Result<()> {
        self.insert(piece, bytes.to_vec());
        Ok(())
    }
}

/// An image in memory, for one thread.
impl ImageSource for BTreeMap<ImagePiece, Vec<u8>> {
    fn piece(&self, piece: ImagePiece, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let bytes = self.get(&piece).ok_or(io::ErrorKind::UnexpectedEof)?;
        take(bytes);
        Ok(())
    }

    fn each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..tasks).for_each(task);
    }
}
