//! The state in which the process was started, as far as the standard library hides it, and how its
//! allocator treats memory that is free.

#![allow(
    unsafe_code,
    reason = "only code that runs before `main` can see a closed stdout, and only libc can ask for it, for an \
              ignored signal and for settings of its allocator"
)]

use std::sync::atomic::{AtomicBool, Ordering};

static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether stdout was closed when the process started, as by `>&-` in a shell.
///
/// The standard library opens `/dev/null` in its place before `main`, so that no file gets its number.
/// Without this check all output would be lost without an error.
pub(crate) fn stdout_was_closed() -> bool {
    STDOUT_WAS_CLOSED.load(Ordering::Relaxed)
}

/// Whether the process was started to ignore a signal, as by `nohup`.
#[cfg(unix)]
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: Without a new action the call only writes the present one, which is valid if it returns 0.
    // All zeros are valid too.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Makes the allocator give memory back to the system after large answers.
///
/// glibc has an arena for each of up to eight threads a core. By default it takes blocks of up to 32 MiB from
/// the arenas once a block of that size was freed, and an arena keeps twice as much. So 16 clients that each
/// asked for 152 MB of profiles left 141 to 146 MB in the memory of a server, and 174 to 184 MB at the peak;
/// with these two values 65 and 85 MB, and 64 MB of that are the cache of the database. Importing took the same
/// time on the processor (2.1 to 2.4 s for a million events, with the values and without). Fewer arenas took
/// 12 % more of it, and a threshold of 256 KiB 30 %, because a body of 2,000 events has about 800 KB.
///
/// An operator who has chosen settings of the allocator in the environment keeps them.
#[cfg(all(feature = "serve", target_os = "linux", target_env = "gnu"))]
pub(crate) fn give_memory_back() {
    /// A larger block is given back when it is freed.
    const MMAP_THRESHOLD: i32 = 2 << 20;
    /// An arena keeps as much at its end.
    const TRIM_THRESHOLD: i32 = 4 << 20;
    let is_chosen = std::env::vars_os().any(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("MALLOC_") || name == "GLIBC_TUNABLES"
    });
    if is_chosen {
        return;
    }
    // SAFETY: The calls take no pointer, and both values are in the ranges that glibc allows. No other thread
    // runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
    let thread = std::thread::Builder::new().name("memory".to_owned());
    // Without this thread the server only takes more memory.
    drop(thread.spawn(trim_after_work));
}

/// Gives free pages in the middle of arenas back, from time to time.
///
/// The pages of the database have many sizes, and come and go on several threads. So free memory is scattered
/// over the arenas: five million events without new IDs left 222 MB in the memory of a server that had 92 MB in
/// use, and it grew by 25 bytes for each event. With this it is 110 to 160 MB once the cache is full, and it grows
/// by the 2 to 4 bytes of the index of duplicates. A call takes 3 to 7 ms.
#[cfg(all(feature = "serve", target_os = "linux", target_env = "gnu"))]
fn trim_after_work() {
    use std::time::Duration;

    const INTERVAL: Duration = Duration::from_secs(2);
    /// An idle server has nothing to give back.
    const WORK: Duration = Duration::from_millis(50);
    let mut trimmed_at = Duration::ZERO;
    loop {
        std::thread::sleep(INTERVAL);
        if processor_time().saturating_sub(trimmed_at) >= WORK {
            // SAFETY: The call takes no pointer, and may come at any time.
            unsafe {
                libc::malloc_trim(0);
            }
            trimmed_at = processor_time();
        }
    }
}

/// How much time of the processor this process has taken.
#[cfg(all(feature = "serve", target_os = "linux", target_env = "gnu"))]
fn processor_time() -> std::time::Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: The call writes to the value alone.
    unsafe {
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time);
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    std::time::Duration::new(seconds, nanos)
}

#[cfg(unix)]
mod before_main {
    use super::{Ordering, STDOUT_WAS_CLOSED};

    #[used]
    // SAFETY: The section has pointers to functions that the loader calls before `main`.
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    #[cfg_attr(
        target_vendor = "apple",
        unsafe(link_section = "__DATA,__mod_init_func")
    )]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        // SAFETY: The call takes no pointer, and only asks for the flags of the descriptor.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        STDOUT_WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
    }
}

#[cfg(all(test, feature = "serve", target_os = "linux", target_env = "gnu"))]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::unwrap_used,
        reason = "a test fails by panicking, and asks the system about a process of its own"
    )]

    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    /// Names the test that runs in a process of its own.
    const OWN_PROCESS: &str = "IDMERGE_TEST_OF_MEMORY";

    /// The trimming comes every two seconds. It is so much longer because the machine may be busy.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn resident_bytes() -> usize {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.unwrap().parse::<usize>().unwrap() << 10
    }

    /// Frees memory that is scattered over an arena, and waits until it is given back to the system.
    fn free_scattered_memory() {
        const BLOCK: usize = 1 << 10;
        const BLOCKS: usize = 128 << 10;
        give_memory_back();
        let mut blocks: Vec<Option<Vec<u8>>> = (0..BLOCKS).map(|_| Some(vec![1; BLOCK])).collect();
        let full = resident_bytes();
        assert!(full > BLOCK * BLOCKS);
        // What is left keeps every free part from the end of its arena.
        for (at, block) in blocks.iter_mut().enumerate() {
            if at % 64 > 0 {
                *block = None;
            }
        }
        let late = Instant::now() + PATIENCE;
        // This loop is the work after which the thread trims.
        while resident_bytes() > full / 2 {
            assert!(Instant::now() < late, "free memory is not given back");
        }
        assert_eq!(blocks.iter().flatten().count(), BLOCKS / 64);
    }

    #[test]
    fn free_memory_that_is_scattered_is_given_back() {
        if std::env::var_os(OWN_PROCESS).is_some() {
            return free_scattered_memory();
        }
        // Other tests of this process use memory too, and the environment may choose the allocator's settings.
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "startup::tests::free_memory_that_is_scattered_is_given_back",
            ])
            .env(OWN_PROCESS, "1");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("MALLOC_") || text == "GLIBC_TUNABLES" {
                command.env_remove(&name);
            }
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
    }
}
