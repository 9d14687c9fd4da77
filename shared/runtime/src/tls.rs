//! One TLS implementation for the whole process: rustls on ring; and whom it trusts beside the public authorities.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

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
