//! A temporary file that fails does no harm to the store whose state was to be copied into it.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use crate::support::disk::Disk;
use idmerge_core::{Claim, Id, IdentityResolver, Resolve};
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable, Options, Scratch, StoreError, in_memory};

/// A temporary file in which one kind of operation fails.
struct Broken {
    content: Cursor<Vec<u8>>,
    fails: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Write,
    Rewind,
    Read,
}

impl Broken {
    fn check(&self, operation: Operation) -> io::Result<()> {
        match operation == self.fails {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check(Operation::Write)?;
        self.content.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Broken {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.check(Operation::Rewind)?;
        self.content.seek(to)
    }
}

impl Read for Broken {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.check(Operation::Read)?;
        self.content.read(to)
    }
}

fn link(store: &mut Durable<Simplified>, number: usize) {
    let [device, user] = ["d", "u"].map(|kind| format!("{kind}{number}"));
    let [device, user] = [&device, &user].map(|id| Id::new(id).unwrap());
    store.apply(Claim::Link { device, user }).unwrap();
    store.commit().unwrap();
}

#[test]
fn a_temporary_file_that_fails_does_no_harm_to_the_store() {
    // After a retraction the log is folded for the copy.
    for is_folded in [false, true] {
        for fails in [Operation::Write, Operation::Rewind, Operation::Read] {
            let disk = Disk::default();
            let options = Options::default();
            let mut store =
                Durable::open_backend(disk.clone(), Simplified::default, options).unwrap();
            (0..10).for_each(|number| link(&mut store, number));
            if is_folded {
                store.retract(3, "ada", "a test", Cause::default()).unwrap();
            }
            let scratch: Box<dyn Scratch> = Box::new(Broken {
                content: Cursor::default(),
                fails,
            });
            let written = store
                .copy_state(scratch)
                .and_then(|copy| copy.unwrap().write(&|| true));
            assert!(
                matches!(written, Err(StoreError::Scratch(_))),
                "{fails:?}: {written:?}"
            );

            link(&mut store, 10);
            let copy = store.copy_state(in_memory()).unwrap().unwrap();
            assert!(copy.write(&|| true).unwrap());
            assert_eq!(store.since_snapshot().unwrap(), 0);
            let users = store.clusters().count();
            store.close().unwrap();
            let store =
                Durable::open_backend(disk, Simplified::default, Options::default()).unwrap();
            assert!(store.opened().damaged.is_empty());
            assert_eq!(store.clusters().count(), users);
            assert_eq!(users, 11 - usize::from(is_folded));
        }
    }
}
