//! [`Listen`]: the address to listen on, as an IP address or a host name.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// An address to listen on: an IP address or a host name, and a port.
///
/// ```
/// use idmerge_server::Listen;
///
/// let listen: Listen = "localhost:8080".parse()?;
/// assert_eq!((listen.host(), listen.port()), ("localhost", 8080));
/// assert_eq!("[::1]:80".parse::<Listen>()?.host(), "[::1]");
/// assert!("localhost".parse::<Listen>().is_err());
/// # Ok::<(), idmerge_server::ListenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen {
    /// The host as it was given: an IPv6 address has brackets.
    host: Cow<'static, str>,
    port: u16,
}

/// A text that is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not an address to listen on; give a host and a port, such as 127.0.0.1:8080, \
     localhost:8080 or [::1]:8080"
)]
pub struct ListenError(String);

impl Listen {
    /// The default address. Only this machine can reach it.
    pub const LOCAL: Self = Self {
        host: Cow::Borrowed("127.0.0.1"),
        port: 8_080,
    };

    /// The host, as in a URL: an IPv6 address has brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port. 0 lets the system choose one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The addresses that the host has. Asks the resolver of the system if it is a name.
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for address in self.to_string().to_socket_addrs()? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let error = "the name has no address";
            return Err(io::Error::new(io::ErrorKind::NotFound, error));
        }
        Ok(addresses)
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let error = || ListenError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let is_name = |host: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(is_allowed)
        };
        if text.parse::<SocketAddr>().is_err() && !is_name(host) {
            return Err(error());
        }
        // `u16` also parses `+80`.
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        Ok(Self {
            port: port.parse().map_err(|_| error())?,
            host: Cow::Owned(host.to_owned()),
        })
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_needed() {
        for text in [
            "127.0.0.1:0",
            "localhost:8080",
            "[::1]:80",
            "my-host.example:1",
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ":",
            ":8080",
            "8080",
            "localhost",
            "localhost:",
            "localhost:http",
            "a:65536",
            "a:+80",
            "::1:8080",
            "[::1]",
            "[a]:80",
            "http://a:80",
            "a b:80",
            "a:80:",
        ] {
            let error = text.parse::<Listen>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{text:?} is not an address")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_ip_address_needs_no_resolver() {
        let listen: Listen = "[::1]:80".parse().unwrap();
        assert_eq!(listen.addresses().unwrap(), ["[::1]:80".parse().unwrap()]);
    }
}
