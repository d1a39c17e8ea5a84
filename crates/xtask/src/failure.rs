//! Why a chore stopped.

use std::error::Error;
use std::fmt;
use std::process::ExitStatus;

/// Why a chore stopped: a sentence for a person, and a code for whoever started the program.
#[derive(Debug)]
pub struct Failure {
    message: String,
    exit_code: u8,
}

impl Failure {
    /// A failure of the chore itself.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: 1,
        }
    }

    /// A program that was started and failed. Its exit code becomes this program's.
    pub fn of_program(command: &str, status: ExitStatus) -> Self {
        Self {
            message: format!("`{command}` failed, {status}"),
            // One that a signal ended has no code.
            exit_code: status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .filter(|&code| code != 0)
                .unwrap_or(1),
        }
    }

    /// What to end this program with. Never 0.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}
