//! One TLS implementation for the whole process: rustls on ring; whom it trusts beside the public authorities; and what
//! we show where the other end wants to know who we are.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Names a file of PEM certificates that are trusted beside Mozilla's roots: the authority of a company's own servers, or
/// of the proxy that it looks into traffic with. Nothing can be named that trusts less, or checks less.
pub const EXTRA_AUTHORITIES: &str = "ROLLCALL_CA_FILE";

/// The certificates of the file that [`EXTRA_AUTHORITIES`] names; none where it names none.
///
/// # Errors
/// When the file cannot be read, or holds no certificate: whoever names one means it.
pub fn extra_authorities() -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(path) = crate::config::env(EXTRA_AUTHORITIES).filter(|path| !path.is_empty()) else {
        return Ok(Vec::new());
    };
    let wrong = |why: String| format!("{EXTRA_AUTHORITIES} names {path}, {why}");
    let certificates = CertificateDer::pem_file_iter(&path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(format!("which cannot be read as PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(wrong("which holds no certificate".to_owned()));
    }
    Ok(certificates)
}

/// The certificate that we show, and its key: PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("{} cannot be read as PEM: {error}", self.certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| format!("{} holds no private key as PEM: {error}", self.key.display()))?;
        if chain.is_empty() {
            return Err(format!("{} holds no certificate", self.certificate.display()));
        }
        Ok((chain, key))
    }
}

/// TLS as all our connections speak it: rustls on ring, with the roots that Mozilla trusts, whatever the machine has
/// installed, and those of the file that [`EXTRA_AUTHORITIES`] names. Certificates and names are always checked.
///
/// # Errors
/// When that file or the identity cannot be used, or the TLS library refuses its own defaults.
pub fn client_config(identity: Option<&Identity>) -> Result<ClientConfig, String> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_authorities()? {
        roots.add(certificate).map_err(|error| format!("{EXTRA_AUTHORITIES} holds what cannot be trusted: {error}"))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = identity.read()?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("{} and its key do not go together: {error}", identity.certificate.display()))
}

/// Why a connection is refused by whoever minds certificates, if that is what an error comes from: what we were shown,
/// or what we showed.
pub fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error does not name what it wraps as its source.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = error.downcast_ref::<rustls::Error>().or_else(|| wrapped?.downcast_ref::<rustls::Error>());
        if let Some(found @ (rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))) = found {
            return Some(found.to_string());
        }
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// Makes ring the process's rustls provider. Every `main` and every test that opens a connection calls it first;
/// calling it again, or after somebody else chose, changes nothing.
pub fn install_provider() {
    // The error says only that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn installing_twice_is_installing_once() {
        super::install_provider();
        super::install_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
