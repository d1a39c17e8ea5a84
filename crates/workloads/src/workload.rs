//! The workloads by name.

mod cap;
mod identify;
mod shared_device;
mod web_login;

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::actor::{Actor, World};

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Workload {
    /// People who browse and log in, with the events of a browser SDK.
    WebLogin,
    /// Identity events of every form, also repeated and rejected ones.
    Identify,
    /// Several people on one browser, with and without a reset between them.
    SharedDevice,
    /// People with more IDs than a cluster of Original ID Merge may have.
    Cap,
}

impl Workload {
    /// Every workload.
    pub const ALL: [Self; 4] = [
        Self::WebLogin,
        Self::Identify,
        Self::SharedDevice,
        Self::Cap,
    ];

    /// The name, as `idmerge generate` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebLogin => "web-login",
            Self::Identify => "identify",
            Self::SharedDevice => "shared-device",
            Self::Cap => "cap",
        }
    }

    /// A description of the traffic, in one line.
    pub const fn description(self) -> &'static str {
        match self {
            Self::WebLogin => "people log in, on one or two browsers each",
            Self::Identify => "identity events, with repeats and rejections",
            Self::SharedDevice => "two to five people share a browser, half with a reset",
            Self::Cap => "people log in on new devices, past 500 IDs",
        }
    }

    /// The number of households that are active at one time, after the start of the stream.
    pub(crate) const fn active_households(self) -> usize {
        match self {
            Self::WebLogin => 1_000,
            // Two people each.
            Self::Identify => 500,
            Self::SharedDevice => 300,
            // Few, so that a short stream reaches the limit too.
            Self::Cap => 4,
        }
    }

    /// A new household.
    pub(crate) fn newcomer(self, world: &mut World) -> Box<dyn Actor> {
        match self {
            Self::WebLogin => Box::new(web_login::household(world)),
            Self::Identify => Box::new(identify::Neighbours::new(world)),
            Self::SharedDevice => Box::new(shared_device::household(world)),
            Self::Cap => Box::new(cap::household(world)),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Workload {
    type Err = UnknownWorkload;

    fn from_str(name: &str) -> Result<Self, UnknownWorkload> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.name() == name)
            .ok_or_else(|| UnknownWorkload {
                name: name.to_owned(),
            })
    }
}

/// The name of a workload that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWorkload {
    name: String,
}

impl fmt::Display for UnknownWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no workload {:?}; choose one of ", self.name)?;
        for (at, workload) in Workload::ALL.into_iter().enumerate() {
            let before = match at {
                0 => "",
                _ if at + 1 == Workload::ALL.len() => " or ",
                _ => ", ",
            };
            write!(f, "{before}{workload}")?;
        }
        Ok(())
    }
}

impl Error for UnknownWorkload {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workload_is_found_by_its_name() {
        for workload in Workload::ALL {
            assert_eq!(workload.to_string().parse(), Ok(workload));
        }
        let error = "Web-Login".parse::<Workload>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"there is no workload "Web-Login"; choose one of web-login, identify, shared-device or cap"#
        );
    }

    #[test]
    fn a_description_is_one_line() {
        for workload in Workload::ALL {
            let text = workload.description();
            assert!(
                !text.is_empty() && text.len() <= 80 && !text.contains('\n'),
                "{text}"
            );
        }
    }
}
