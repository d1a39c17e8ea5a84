//! Which servers are trusted over https.

use std::fs;

use anyhow::{Context, anyhow, bail};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::environment;

/// The variable with a PEM file of the authorities to trust instead of those in this program, as for OpenSSL
/// and curl.
const AUTHORITIES: &str = "SSL_CERT_FILE";

/// The authorities whose certificates are trusted: those of the variable, or else those that Mozilla trusts.
///
/// # Errors
///
/// The file of the variable cannot be used.
pub(super) fn authorities() -> anyhow::Result<TlsConfig> {
    let roots = match environment::text(AUTHORITIES)? {
        None => RootCerts::WebPki,
        Some(path) => {
            let text = fs::read(&path)
                .with_context(|| format!("cannot read {path}, which {AUTHORITIES} names"))?;
            let certificates = certificates(&text)
                .with_context(|| format!("cannot use {path}, which {AUTHORITIES} names"))?;
            RootCerts::new_with_certs(&certificates)
        }
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

fn certificates(text: &[u8]) -> anyhow::Result<Vec<Certificate<'static>>> {
    let mut certificates = Vec::new();
    for item in parse_pem(text) {
        if let PemItem::Certificate(certificate) = item? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        bail!("it has no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    }
    Ok(certificates)
}

/// Why nothing can be sent to a server, and what to do.
pub(super) fn unreachable(url: &str, error: ureq::Error) -> anyhow::Error {
    let text = error.to_string();
    let advice = if text.contains("invalid peer certificate") {
        format!(
            "the certificate of {url} is not trusted, so nothing was sent to it; if its authority is your own, \
             name the authority's PEM file in the variable {AUTHORITIES}"
        )
    } else if text.contains("InvalidContentType") {
        format!("{url} does not speak TLS; if it is meant to, check the port, or else use http://")
    } else {
        format!("cannot reach {url}")
    };
    anyhow!(error).context(advice)
}
