//! The state in which the process was started, as far as the standard library hides it.

#![allow(
    unsafe_code,
    reason = "only code that runs before `main` can see a closed stdout, and only libc can ask for it and \
              for an ignored signal"
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
